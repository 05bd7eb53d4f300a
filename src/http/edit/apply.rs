//! Edits done on fields and the text that they stand in: what is new comes behind the text, so that what stood there stays as long
//! as a value is taken from it.

use super::Facts;
use crate::config::template::{Piece, Template};
use crate::gateway::Told;
use crate::gateway::cors::{self, Cors};
use crate::gateway::jwt::Pointer;
use crate::http::cookies;
use crate::http::head::{Field, Name, Span};
use crate::plan::Edit;

/// Does `edits` in their order. `folds`: whoever gets the head may read several spellings of a name as one, as CGI does with
/// `X_User` and `X-User`; so what is put in place of a header takes the place of all of these. Returns the status that an answer has
/// from now on, if it is another.
pub(super) fn apply(
    edits: &[Edit],
    facts: &Facts<'_>,
    fields: &mut Vec<Field>,
    text: &mut Vec<u8>,
    folds: bool,
) -> Option<u16> {
    // What goes to targets copies nothing of answers.
    let before = if !folds && edits.iter().any(Edit::copies) { fields.clone() } else { Vec::new() };
    let mut told = None;
    edit(edits, facts, &mut Head { fields, text, before: &before, folds }, &mut told);
    told
}

fn edit(edits: &[Edit], facts: &Facts<'_>, head: &mut Head<'_>, told: &mut Option<u16>) {
    let mut rest = edits;
    while let Some((edit, behind)) = rest.split_first() {
        rest = behind;
        match edit {
            Edit::Remove(name) => {
                // Most routes with rules remove several, one behind the other.
                let run = behind.iter().take_while(|edit| matches!(edit, Edit::Remove(_))).count();
                let (others, behind) = behind.split_at(run);
                head.remove_all(name, others);
                rest = behind;
            }
            Edit::RemoveCookie(name) => head.remove_cookie(name),
            Edit::Rename(from, to) => head.rename(from, to),
            Edit::Set(name, template) => {
                let value = head.fill(template, facts);
                head.remove(name);
                head.append(name, value);
            }
            Edit::Add(name, template) => {
                if !head.has(name) {
                    let value = head.fill(template, facts);
                    head.append(name, value);
                }
            }
            Edit::Claim(name, rule, at) => head.tell(name, *rule, at, facts),
            Edit::Cors(cors) => head.share(cors, facts),
            Edit::Told(name) => {
                head.remove(name);
                facts.told.iter().filter(|(told, _)| **told == **name).for_each(|(_, value)| head.say(name, value));
            }
            Edit::Limits(told) => {
                Told::FIELDS.iter().for_each(|name| head.remove(name));
                told.each(facts.limits, |name, value| head.say(name, value));
            }
            Edit::Vary(names) => head.vary(names),
            Edit::Append(name, template) => {
                let value = head.fill(template, facts);
                head.append(name, value);
            }
            Edit::Status(status) => *told = Some(*status),
            Edit::Within(statuses, edits) => {
                if statuses.has(facts.status) {
                    self::edit(edits, facts, head, told);
                }
            }
        }
    }
}

struct Head<'a> {
    fields: &'a mut Vec<Field>,
    text: &'a mut Vec<u8>,
    /// The fields as they were before all edits, if one copies any.
    before: &'a [Field],
    folds: bool,
}

impl Head<'_> {
    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| is_named(field.name.of(self.text), name, self.folds))
    }

    /// Removes those of a name, and of the names that edits remove.
    fn remove_all(&mut self, name: &str, others: &[Edit]) {
        let Self { fields, text, folds, .. } = self;
        fields.retain(|field| {
            let found = field.name.of(text);
            let is_meant = |edit: &Edit| matches!(edit, Edit::Remove(name) if is_named(found, name, *folds));
            !is_named(found, name, *folds) && !others.iter().any(is_meant)
        });
    }

    fn remove(&mut self, name: &str) {
        let Self { fields, text, folds, .. } = self;
        fields.retain(|field| !is_named(field.name.of(text), name, *folds));
    }

    fn remove_cookie(&mut self, name: &str) {
        let Self { fields, text, .. } = self;
        fields.retain_mut(|field| {
            if field.kind != Name::Cookie {
                return true;
            }
            let value = field.value.of(text);
            if !cookies::pairs(value).any(|(other, _)| other == name.as_bytes()) {
                return true;
            }
            let mut rest = Vec::with_capacity(value.len());
            for pair in value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii) {
                if !cookies::pairs(pair).any(|(other, _)| other == name.as_bytes()) && !pair.is_empty() {
                    rest.extend_from_slice(if rest.is_empty() { b"" } else { b"; " });
                    rest.extend_from_slice(pair);
                }
            }
            let start = text.len();
            text.extend_from_slice(&rest);
            field.value = Span::new(start, text.len());
            !rest.is_empty()
        });
    }

    fn rename(&mut self, from: &str, to: &str) {
        if !self.has(from) {
            return;
        }
        let Self { fields, text, folds, .. } = self;
        fields.retain(|field| {
            let name = field.name.of(text);
            is_named(name, from, *folds) || !is_named(name, to, *folds)
        });
        let start = self.text.len();
        self.text.extend_from_slice(to.as_bytes());
        let name = Span::new(start, self.text.len());
        for field in self.fields.iter_mut() {
            if is_named(field.name.of(self.text), from, self.folds) {
                (field.name, field.kind) = (name, Name::of(to.as_bytes()));
            }
        }
    }

    /// Says whose scripts may read the answer, in place of what it says of that.
    #[inline(never)]
    fn share(&mut self, cors: &Cors, facts: &Facts<'_>) {
        cors::LINES.iter().for_each(|name| self.remove(name));
        if cors.varies() {
            self.say("Vary", b"Origin");
        }
        let mut origins = facts.head.values(facts.text, b"origin");
        let (Some(origin), None) = (origins.next(), origins.next()) else { return };
        let Some(admitted) = cors.admits(origin) else { return };
        self.say("Access-Control-Allow-Origin", admitted);
        if cors.credentials() {
            self.say("Access-Control-Allow-Credentials", b"true");
        }
        self.say("Access-Control-Expose-Headers", cors.exposed());
    }

    /// Has the answer vary on these headers, too. One that varies on everything does so already.
    fn vary(&mut self, names: &[Box<str>]) {
        let Self { fields, text, .. } = self;
        let said = fields.iter().filter(|field| field.name.of(text).eq_ignore_ascii_case(b"vary"));
        let said = said.flat_map(|field| field.value.of(text).split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
        let is_there =
            |name: &&str| said.clone().any(|said| said == b"*" || said.eq_ignore_ascii_case(name.as_bytes()));
        let missing: Vec<&str> = names.iter().map(|name| &**name).filter(|name| !is_there(name)).collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            self.say("Vary", missing.as_bytes());
        }
    }

    /// Tells what a token says, if it can be said in a line.
    fn tell(&mut self, name: &str, rule: usize, at: &Pointer, facts: &Facts<'_>) {
        let mut tokens = facts.tokens.iter().filter(|proven| proven.rule == rule);
        if let Some(proven) = tokens.next()
            && let Ok(Some(text)) = proven.claims.text(at)
        {
            self.remove(name);
            self.say(name, text.trim_ascii().as_bytes());
        }
    }

    fn say(&mut self, name: &str, value: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(value);
        let value = Span::new(start, self.text.len());
        self.append(name, value);
    }

    /// Writes a value behind the text.
    fn fill(&mut self, template: &Template, facts: &Facts<'_>) -> Span {
        let start = self.text.len();
        for piece in template.pieces() {
            match piece {
                Piece::Text(text) => self.text.extend_from_slice(text),
                Piece::Field(field) => facts.push(*field, self.text),
                Piece::RequestHeader(name) => {
                    for (place, value) in facts.head.values(facts.text, name.as_bytes()).enumerate() {
                        self.text.extend_from_slice(if place > 0 { b", " } else { b"" });
                        self.text.extend_from_slice(value);
                    }
                }
                Piece::ResponseHeader(name) => self.copy(name),
                // No header has a regex.
                Piece::Captured(_) => {}
            }
        }
        // Whatever it came from: what could end the line, or a header's value may not hold, is left out.
        let mut end = start;
        for at in start..self.text.len() {
            let byte = self.text[at];
            if byte == b'\t' || byte >= b' ' && byte != 0x7f {
                self.text[end] = byte;
                end += 1;
            }
        }
        self.text.truncate(end);
        let value = &self.text[start..];
        let blanks = value.len() - value.trim_ascii_start().len();
        Span::new(start + blanks, (start + value.trim_ascii_end().len()).max(start + blanks))
    }

    /// Writes behind the text what the head said under a name before it was edited.
    fn copy(&mut self, name: &str) {
        let mut is_first = true;
        for field in self.before {
            if is_named(field.name.of(self.text), name, false) {
                if !std::mem::replace(&mut is_first, false) {
                    self.text.extend_from_slice(b", ");
                }
                let end = (field.value.end as usize).min(self.text.len());
                self.text.extend_from_within((field.value.start as usize).min(end)..end);
            }
        }
    }

    /// A header that says nothing is not sent.
    fn append(&mut self, name: &str, value: Span) {
        if value.is_empty() {
            return;
        }
        let kind = Name::of(name.as_bytes());
        // RFC 6265 §5.4: there is one of them, and targets read no more.
        if kind == Name::Cookie
            && let Some(place) = self.fields.iter().position(|field| field.kind == Name::Cookie)
        {
            let (before, start) = (self.fields[place].value, self.text.len());
            self.text.extend_from_within(before.start as usize..before.end as usize);
            self.text.extend_from_slice(b"; ");
            self.text.extend_from_within(value.start as usize..value.end as usize);
            self.fields[place].value = Span::new(start, self.text.len());
            return;
        }
        let start = self.text.len();
        self.text.extend_from_slice(name.as_bytes());
        self.fields.push(Field { name: Span::new(start, self.text.len()), value, kind });
    }
}

/// Whether a field's name is `name`; `folds`: or would be read as it by CGI.
#[inline]
fn is_named(field: &[u8], name: &str, folds: bool) -> bool {
    let name = name.as_bytes();
    if field.len() != name.len() {
        return false;
    }
    if !folds {
        return field.eq_ignore_ascii_case(name);
    }
    let sign = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    field.iter().zip(name).all(|(&one, &other)| sign(one) == sign(other))
}
