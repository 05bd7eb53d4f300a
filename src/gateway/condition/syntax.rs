//! How a condition is put together: the grammar of CEL, read by recursive descent.
//!
//! What always holds: no text, however it is nested, takes more than [`DEPTH`] calls within each other, here or wherever a tree is
//! walked; chains of `&&` and `||` are lists and count as one.

use super::Fault;
use super::token::{Token, tokens};

/// Bytes of a condition, at most.
pub(super) const LONGEST: usize = 8192;
/// Levels within each other, at most.
pub(super) const DEPTH: usize = 48;

/// A part of a condition, and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub(super) at: usize,
    pub(super) what: What,
    height: usize,
}

/// Where they stand does not make them differ.
impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.what == other.what
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Name(String),
    Select(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
    /// On what, which function, of what.
    Call(Option<Box<Expr>>, String, Vec<Expr>),
    List(Vec<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Minus(Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
}

/// What stands between two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Binary {
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

/// Words that CEL keeps for itself.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

const RELATIONS: [(&str, Binary); 6] = [
    ("==", Binary::Equal),
    ("!=", Binary::Unequal),
    ("<", Binary::Less),
    ("<=", Binary::LessOrEqual),
    (">", Binary::Greater),
    (">=", Binary::GreaterOrEqual),
];
const SUMS: [(&str, Binary); 2] = [("+", Binary::Add), ("-", Binary::Subtract)];
const PRODUCTS: [(&str, Binary); 3] = [("*", Binary::Multiply), ("/", Binary::Divide), ("%", Binary::Remainder)];

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Expr, Fault> {
    if text.len() > LONGEST {
        return Err(Fault::at(text, 0, format!("it has {} bytes: {LONGEST} are the most", text.len())));
    }
    let mut parser = Parser { text, tokens: tokens(text)?, place: 0, depth: 0 };
    let whole = parser.choice()?;
    match parser.peek() {
        Token::End => Ok(whole),
        _ => Err(parser.unexpected("an operator")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(usize, Token)>,
    place: usize,
    /// Calls within each other.
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.place).map_or(&Token::End, |(_, token)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.place).or(self.tokens.last()).map_or(0, |(at, _)| *at)
    }

    /// The token, of which nothing is left.
    fn take(&mut self) -> Token {
        let token = self.tokens.get_mut(self.place).map(|(_, token)| match token {
            Token::End => Token::End,
            token => std::mem::replace(token, Token::Sign("")),
        });
        self.place += 1;
        token.unwrap_or(Token::End)
    }

    /// Goes past a sign, if that is what comes.
    fn eat(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.place += usize::from(is_it);
        is_it
    }

    fn one_of(&mut self, known: &[(&str, Binary)]) -> Option<Binary> {
        known.iter().find(|(sign, _)| self.eat(sign)).map(|(_, binary)| *binary)
    }

    fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        if self.eat(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        let found = match self.peek() {
            Token::Word(word) => format!("`{word}`"),
            Token::Int(_) | Token::Double(_) => "a number".to_owned(),
            Token::Text(_) => "a text".to_owned(),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::End => "the end".to_owned(),
        };
        let fault = Fault::at(self.text, self.at(), format!("{found} stands where {wanted} is expected"));
        match self.peek() {
            Token::Word(word) if word.eq_ignore_ascii_case("and") => fault.help("write &&"),
            Token::Word(word) if word.eq_ignore_ascii_case("or") => fault.help("write ||"),
            Token::Sign("{") => fault.help("maps and messages cannot be written"),
            _ => fault,
        }
    }

    fn made(&self, at: usize, what: What) -> Result<Expr, Fault> {
        let of = |expr: &Expr| expr.height;
        let most = |list: &[Expr]| list.iter().map(of).max().unwrap_or(0);
        let below = match &what {
            What::Select(one, _) | What::Not(one) | What::Minus(one) => of(one),
            What::Index(one, other) | What::Binary(_, one, other) => of(one).max(of(other)),
            What::Call(on, _, list) => on.as_deref().map_or(0, of).max(most(list)),
            What::List(list) | What::And(list) | What::Or(list) => most(list),
            What::Choice(one, two, three) => of(one).max(of(two)).max(of(three)),
            _ => 0,
        };
        if below >= DEPTH { Err(self.too_deep(at)) } else { Ok(Expr { at, what, height: below + 1 }) }
    }

    fn too_deep(&self, at: usize) -> Fault {
        Fault::at(self.text, at, format!("it is nested more than {DEPTH} deep"))
            .help("take it apart: several routes or rules may have a condition each")
    }

    /// Goes one level down.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth >= DEPTH {
            return Err(self.too_deep(self.at()));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn choice(&mut self) -> Result<Expr, Fault> {
        self.nested(|parser| {
            let condition = parser.or()?;
            if !parser.eat("?") {
                return Ok(condition);
            }
            let then = parser.or()?;
            parser.expect(":")?;
            let otherwise = parser.choice()?;
            let at = condition.at;
            parser.made(at, What::Choice(Box::new(condition), Box::new(then), Box::new(otherwise)))
        })
    }

    fn or(&mut self) -> Result<Expr, Fault> {
        self.chain("||", Self::and, What::Or)
    }

    fn and(&mut self) -> Result<Expr, Fault> {
        self.chain("&&", Self::relation, What::And)
    }

    fn chain(
        &mut self,
        sign: &str,
        part: fn(&mut Self) -> Result<Expr, Fault>,
        of: fn(Vec<Expr>) -> What,
    ) -> Result<Expr, Fault> {
        let first = part(self)?;
        let at = first.at;
        let mut parts = vec![first];
        while self.eat(sign) {
            parts.push(part(self)?);
        }
        match parts.pop() {
            Some(only) if parts.is_empty() => Ok(only),
            last => {
                parts.extend(last);
                self.made(at, of(parts))
            }
        }
    }

    fn relation(&mut self) -> Result<Expr, Fault> {
        let mut left = self.sum()?;
        loop {
            let binary = match self.one_of(&RELATIONS) {
                Some(binary) => binary,
                None if matches!(self.peek(), Token::Word(word) if word == "in") => {
                    self.place += 1;
                    Binary::In
                }
                None => return Ok(left),
            };
            let right = self.sum()?;
            left = self.made(left.at, What::Binary(binary, Box::new(left), Box::new(right)))?;
        }
    }

    fn sum(&mut self) -> Result<Expr, Fault> {
        let mut left = self.product()?;
        while let Some(binary) = self.one_of(&SUMS) {
            let right = self.product()?;
            left = self.made(left.at, What::Binary(binary, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expr, Fault> {
        let mut left = self.unary()?;
        while let Some(binary) = self.one_of(&PRODUCTS) {
            let right = self.unary()?;
            left = self.made(left.at, What::Binary(binary, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, Fault> {
        let at = self.at();
        if self.eat("!") {
            let of = self.nested(Self::unary)?;
            return self.made(at, What::Not(Box::new(of)));
        }
        if !self.eat("-") {
            return self.member();
        }
        if let Token::Int(number) = *self.peek() {
            self.place += 1;
            let negative = 0i64.checked_sub_unsigned(number).ok_or_else(|| self.too_large(at))?;
            let literal = self.made(at, What::Int(negative))?;
            return self.members(literal);
        }
        let of = self.nested(Self::unary)?;
        self.made(at, What::Minus(Box::new(of)))
    }

    fn too_large(&self, at: usize) -> Fault {
        Fault::at(self.text, at, "the number is too large").help(format!(
            "numbers go from {} to {}",
            i64::MIN,
            i64::MAX
        ))
    }

    fn member(&mut self) -> Result<Expr, Fault> {
        let primary = self.primary()?;
        self.members(primary)
    }

    fn members(&mut self, mut of: Expr) -> Result<Expr, Fault> {
        loop {
            let at = of.at;
            if self.eat(".") {
                let name_at = self.at();
                if !matches!(self.peek(), Token::Word(_)) {
                    return Err(self.unexpected("a name"));
                }
                let Token::Word(name) = self.take() else { continue };
                of = match self.eat("(") {
                    true => {
                        let arguments = self.list(")")?;
                        self.made(name_at, What::Call(Some(Box::new(of)), name, arguments))?
                    }
                    false => self.made(at, What::Select(Box::new(of), name))?,
                };
            } else if self.eat("[") {
                let index = self.choice()?;
                self.expect("]")?;
                of = self.made(at, What::Index(Box::new(of), Box::new(index)))?;
            } else {
                return Ok(of);
            }
        }
    }

    /// What stands between commas, up to `end`.
    fn list(&mut self, end: &str) -> Result<Vec<Expr>, Fault> {
        let mut list = Vec::new();
        while !self.eat(end) {
            list.push(self.choice()?);
            if !self.eat(",") {
                self.expect(end)?;
                break;
            }
            // One that ends a list is CEL, one that ends arguments is not.
            if end == ")" && matches!(self.peek(), Token::Sign(")")) {
                return Err(self.unexpected("a value"));
            }
        }
        Ok(list)
    }

    fn primary(&mut self) -> Result<Expr, Fault> {
        let at = self.at();
        if !self.begins_value() {
            return Err(self.unexpected("a value"));
        }
        let what = match self.take() {
            Token::Int(number) => What::Int(i64::try_from(number).map_err(|_| self.too_large(at))?),
            Token::Double(number) => What::Double(number),
            Token::Text(text) => What::Text(text),
            Token::Word(word) => match word.as_str() {
                "true" => What::Bool(true),
                "false" => What::Bool(false),
                "null" => What::Null,
                "in" => return Err(Fault::at(self.text, at, "`in` stands where a value is expected")),
                _ if RESERVED.contains(&word.as_str()) => {
                    return Err(Fault::at(self.text, at, format!("CEL keeps the word `{word}` for itself")));
                }
                "not" | "NOT" if !matches!(self.peek(), Token::Sign(_) | Token::End) => {
                    return Err(Fault::at(self.text, at, "`not` is no operator").help("write !"));
                }
                _ if self.eat("(") => What::Call(None, word, self.list(")")?),
                _ => What::Name(word),
            },
            Token::Sign("(") => {
                let inner = self.choice()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Sign(_) | Token::End => What::List(self.list("]")?),
        };
        self.made(at, what)
    }

    fn begins_value(&self) -> bool {
        match self.peek() {
            Token::Sign(sign) => matches!(*sign, "(" | "["),
            token => *token != Token::End,
        }
    }
}
