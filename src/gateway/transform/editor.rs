//! A body on its way through its edits.

use super::number::Number;
use super::text::{Text, push_text, unescape};
use super::tree::{At, Edits, Member, Seen, push_items, push_value};
use super::{DEPTH, Fault, LONGEST_NUMBER};
use smallvec::SmallVec;
use std::sync::Arc;

/// Blanks between two members that are kept as they came; what is beyond them says nothing.
const BLANKS: usize = 256;

/// Changes a body as it comes.
#[derive(Debug)]
pub struct Editor {
    edits: Arc<Edits>,
    values: Box<[Vec<u8>]>,
    state: State,
    stack: SmallVec<[Frame; 4]>,
    /// Whether what is read is left out.
    skips: bool,
    /// What is to be done behind the text, number or word that is being read.
    ending: Ending,
    /// What becomes of the value that comes next.
    next: Next,
    /// The name that is being read, where it may be one that an edit names.
    name: Option<Vec<u8>>,
    /// What the last name said.
    said: Vec<u8>,
    /// What came between two members of which the second is still to be written.
    gap: Vec<u8>,
    /// Whether the last member was removed: what follows it is no gap.
    removed: bool,
    /// Whether anything has come.
    begun: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The whole text is to come.
    Root,
    /// A name, or the end of an object.
    FirstName,
    NextName,
    Name(Text),
    Colon,
    /// A value behind its name.
    Value,
    /// An item, or the end of an array.
    FirstItem,
    NextItem,
    Text(Text),
    Number(Number, usize),
    /// What is left of a word.
    Word(&'static [u8]),
    /// A value has come, in an object or array.
    Behind,
    /// The whole text has come.
    End,
}

/// An object or array that is open.
#[derive(Debug)]
struct Frame {
    is_object: bool,
    at: At,
    /// Whether anything in it may change.
    edited: bool,
    /// Whether any of it has been written.
    written: bool,
    seen: Seen,
    index: u64,
    ending: Ending,
}

/// What is to be done behind a value.
#[derive(Clone, Copy, Debug, Default)]
struct Ending {
    /// It was left out.
    skipped: bool,
    /// It is the first item of an array that was made around it.
    wrapped: Option<At>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Next {
    at: At,
    removed: bool,
}

impl Editor {
    /// One for a body; `values` are the JSON texts that edits name by their places.
    pub fn new(edits: Arc<Edits>, values: Vec<Vec<u8>>) -> Self {
        let next = Next { at: edits.root(), removed: false };
        Self {
            edits,
            values: values.into(),
            state: State::Root,
            stack: SmallVec::new(),
            skips: false,
            ending: Ending::default(),
            next,
            name: None,
            said: Vec::new(),
            gap: Vec::new(),
            removed: false,
            begun: false,
        }
    }

    /// Takes of `input` and appends to `out` what becomes of it, until that is `most` bytes or somewhat more. Returns how many bytes of
    /// the input are done with.
    ///
    /// # Errors
    /// It cannot be changed. What is in `out` is to be given to nobody as if it were whole.
    pub fn push(&mut self, input: &[u8], most: usize, out: &mut Vec<u8>) -> Result<usize, Fault> {
        let (start, mut at) = (out.len(), 0);
        self.begun |= !input.is_empty();
        while at < input.len() && out.len() - start < most {
            at += self.step(&input[at..], out)?;
        }
        Ok(at)
    }

    /// Nothing more comes. A body without a byte stays one.
    ///
    /// # Errors
    /// It was not whole.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if let State::Number(number, _) = self.state
            && self.stack.is_empty()
            && number.is_whole()
        {
            self.end_value(self.ending, out);
        }
        match self.state {
            State::End => Ok(()),
            _ if !self.begun => Ok(()),
            _ => Err(Fault::Truncated),
        }
    }

    /// Reads one thing, or as much of it as is here. Returns its bytes.
    fn step(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        match self.state {
            State::Text(mut text) => {
                let (count, ended) = text.read(rest)?;
                self.copy(&rest[..count], out);
                self.state = State::Text(text);
                if ended {
                    self.end_value(self.ending, out);
                }
                Ok(count)
            }
            State::Name(mut text) => {
                let (count, ended) = text.read(rest)?;
                self.read_name(&rest[..count], out);
                self.state = if ended { State::Colon } else { State::Name(text) };
                if ended && self.name.is_some() {
                    self.named(out)?;
                }
                Ok(count)
            }
            State::Number(number, length) => self.read_number(number, length, rest, out),
            State::Word(left) => {
                let count = left.iter().zip(rest).take_while(|(wanted, byte)| wanted == byte).count();
                if count < left.len().min(rest.len()) {
                    return Err(Fault::Syntax);
                }
                self.copy(&rest[..count], out);
                self.state = State::Word(&left[count..]);
                if count == left.len() {
                    self.end_value(self.ending, out);
                }
                Ok(count)
            }
            _ => {
                let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
                match rest.get(blanks) {
                    _ if blanks > 0 => self.blank(&rest[..blanks], out),
                    Some(&byte) => return self.sign(byte, out).map(|()| 1),
                    None => {}
                }
                Ok(blanks)
            }
        }
    }

    fn read_number(
        &mut self,
        mut number: Number,
        length: usize,
        rest: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        let mut count = 0;
        while let Some(more) = rest.get(count).and_then(|&byte| number.with(byte)) {
            (number, count) = (more, count + 1);
        }
        if length + count > LONGEST_NUMBER {
            return Err(Fault::Number);
        }
        self.copy(&rest[..count], out);
        self.state = State::Number(number, length + count);
        if count < rest.len() {
            if !number.is_whole() {
                return Err(Fault::Syntax);
            }
            self.end_value(self.ending, out);
        }
        Ok(count)
    }

    /// What stands for itself, or begins something.
    fn sign(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
        let is_object = self.stack.last().is_some_and(|frame| frame.is_object);
        match (self.state, byte) {
            (State::FirstItem, b']') => self.close(byte, out),
            (State::FirstName, b'}') => self.close(byte, out),
            (State::Behind, b'}') if is_object => self.close(byte, out),
            (State::Behind, b']') if !is_object => self.close(byte, out),
            (State::Root | State::Value, _) => {
                let next = std::mem::take(&mut self.next);
                return self.begin(next, byte, out);
            }
            (State::FirstItem | State::NextItem, _) => {
                let next = self.item(out);
                return self.begin(next, byte, out);
            }
            (State::FirstName | State::NextName, b'"') => {
                match self.is_between() {
                    true => self.name = Some(vec![byte]),
                    false => self.copy(&[byte], out),
                }
                self.state = State::Name(Text::Plain);
            }
            (State::Colon, b':') => {
                self.copy(&[byte], out);
                self.state = State::Value;
            }
            (State::Behind, b',') => {
                match self.is_between() {
                    true if self.removed => {}
                    true => self.gap.push(byte),
                    false => self.copy(&[byte], out),
                }
                self.state = if is_object { State::NextName } else { State::NextItem };
            }
            _ => return Err(Fault::Syntax),
        }
        Ok(())
    }

    /// Whether what comes lies between what may change.
    fn is_between(&self) -> bool {
        !matches!(self.state, State::Root | State::Colon | State::Value | State::End)
            && self.stack.last().is_some_and(|frame| frame.edited)
    }

    fn blank(&mut self, blanks: &[u8], out: &mut Vec<u8>) {
        if !self.is_between() {
            self.copy(blanks, out);
        } else if !self.removed {
            let room = BLANKS.saturating_sub(self.gap.len()).min(blanks.len());
            self.gap.extend_from_slice(&blanks[..room]);
        }
    }

    fn copy(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if !self.skips {
            out.extend_from_slice(bytes);
        }
    }

    fn read_name(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self.name.take() {
            Some(mut name) if name.len() + bytes.len() <= self.edits.longest => {
                name.extend_from_slice(bytes);
                self.name = Some(name);
            }
            // No edit names one so long.
            Some(name) => {
                self.pass_gap(out);
                out.extend_from_slice(&name);
                out.extend_from_slice(bytes);
                self.next = Next { at: At::default(), removed: false };
            }
            None => self.copy(bytes, out),
        }
    }

    /// A name has come whole that an edit may name.
    fn named(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(name) = self.name.take() else { return Ok(()) };
        let Some(frame) = self.stack.last_mut() else { return Ok(()) };
        let edits = self.edits.clone();
        let member = match unescape(&name, &mut self.said) {
            true => edits.member(frame.at, &self.said, &mut frame.seen)?,
            false => Member::Passes(None, At::default()),
        };
        match member {
            Member::Removed => {
                (self.skips, self.removed) = (true, true);
                self.next = Next { at: At::default(), removed: true };
            }
            Member::Passes(renamed, at) => {
                self.pass_gap(out);
                match renamed {
                    Some(renamed) => push_text(renamed.as_bytes(), out),
                    None => out.extend_from_slice(&name),
                }
                self.next = Next { at, removed: false };
            }
        }
        Ok(())
    }

    /// What becomes of the item that begins.
    fn item(&mut self, out: &mut Vec<u8>) -> Next {
        let Some(frame) = self.stack.last_mut().filter(|frame| frame.edited) else {
            return Next { at: At::default(), removed: false };
        };
        let index = frame.index;
        frame.index += 1;
        match self.edits.item(frame.at, index) {
            Some(at) => {
                self.pass_gap(out);
                Next { at, removed: false }
            }
            None => {
                (self.skips, self.removed) = (true, true);
                Next { at: At::default(), removed: true }
            }
        }
    }

    /// A member or an item is written behind what stood before it.
    fn pass_gap(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.gap);
        self.removed = false;
        if let Some(frame) = self.stack.last_mut() {
            frame.written = true;
        }
    }

    /// A value begins with this byte.
    fn begin(&mut self, next: Next, byte: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
        let (mut at, mut ending) = (next.at, Ending { skipped: next.removed, wrapped: None });
        if let Some(value) = self.edits.value(at).filter(|_| !self.skips) {
            if let Some(set) = value.set {
                push_value(set, &self.values, out);
                (self.skips, ending.skipped) = (true, true);
            } else if !value.append.is_empty() && byte != b'[' {
                out.push(b'[');
                ending.wrapped = Some(at);
            }
        }
        if self.skips {
            at = At::default();
        }
        self.copy(&[byte], out);
        match byte {
            b'{' | b'[' => {
                if self.stack.len() >= DEPTH {
                    return Err(Fault::Depth);
                }
                let (is_object, edited) = (byte == b'{', at.is_edited());
                self.state = if is_object { State::FirstName } else { State::FirstItem };
                let seen = Seen::default();
                self.stack.push(Frame { is_object, at, edited, written: false, seen, index: 0, ending });
                return Ok(());
            }
            b'"' => self.state = State::Text(Text::Plain),
            b't' => self.state = State::Word(b"rue"),
            b'f' => self.state = State::Word(b"alse"),
            b'n' => self.state = State::Word(b"ull"),
            _ => self.state = State::Number(Number::begin(byte).ok_or(Fault::Syntax)?, 1),
        }
        self.ending = ending;
        Ok(())
    }

    /// An object or array ends with this byte.
    fn close(&mut self, byte: u8, out: &mut Vec<u8>) {
        let Some(frame) = self.stack.pop() else { return };
        if frame.edited {
            if frame.is_object {
                self.edits.make_missing(frame.at, &frame.seen, !frame.written, &self.values, out);
            } else if let Some(value) = self.edits.value(frame.at) {
                push_items(&value.append, !frame.written, &self.values, out);
            }
            if !self.removed {
                out.append(&mut self.gap);
            }
            self.gap.clear();
            self.removed = false;
        }
        self.copy(&[byte], out);
        self.end_value(frame.ending, out);
    }

    /// A value has come whole.
    fn end_value(&mut self, ending: Ending, out: &mut Vec<u8>) {
        if let Some(value) = ending.wrapped.and_then(|at| self.edits.value(at)) {
            push_items(&value.append, false, &self.values, out);
            out.push(b']');
        }
        self.skips &= !ending.skipped;
        self.state = if self.stack.is_empty() { State::End } else { State::Behind };
    }
}
