//! What a client says that it has signed: the fields `Signature-Input` and `Signature` (RFC 9421 §4).

use super::Denial;
use crate::gateway::Request;
use sfv::{BareItem, Dictionary, InnerList, Item, ListEntry, ListSerializer, Parameters, Parser};
use std::fmt;

/// A signature, and what it is said to be of.
pub struct Signed {
    /// What is signed, in its order.
    pub(super) components: Vec<Item>,
    /// The value of `@signature-params`.
    pub(super) parameters: String,
    pub(super) created: Option<i64>,
    pub(super) expires: Option<i64>,
    pub(super) nonce: Option<String>,
    /// The name of its key.
    pub(super) key: String,
    pub(super) algorithm: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) signature: Vec<u8>,
}

/// Components of one signature.
const COMPONENTS: usize = 64;
/// The longest nonce, in bytes.
const LONGEST_NONCE: usize = 256;

impl Signed {
    /// All of a request; none where it says nothing of any.
    ///
    /// # Errors
    /// What it says cannot be read.
    pub fn read(request: &dyn Request) -> Result<Vec<Self>, Denial> {
        let (inputs, signatures) = (dictionary(request, "signature-input")?, dictionary(request, "signature")?);
        let mut all = Vec::with_capacity(inputs.len());
        for (label, input) in inputs {
            let (ListEntry::InnerList(input), Some(signature)) = (input, signatures.get(label.as_str())) else {
                return Err(Denial::Malformed);
            };
            let signature = match signature {
                ListEntry::Item(Item { bare_item: BareItem::ByteSequence(bytes), .. }) => bytes.clone(),
                _ => return Err(Denial::Malformed),
            };
            all.push(Self::of(input, signature)?);
        }
        Ok(all)
    }

    fn of(input: InnerList, signature: Vec<u8>) -> Result<Self, Denial> {
        let is_name = |item: &Item| matches!(&item.bare_item, BareItem::String(_));
        let is_twice = |(place, item): (usize, &Item)| input.items[..place].contains(item);
        if input.items.len() > COMPONENTS
            || !input.items.iter().all(is_name)
            || input.items.iter().enumerate().any(is_twice)
        {
            return Err(Denial::Malformed);
        }
        let mut list = ListSerializer::new();
        {
            let mut inner = list.inner_list();
            inner.items(&input.items);
            inner.finish().parameters(&input.params);
        }
        let parameters = list.finish().ok_or(Denial::Malformed)?;
        let InnerList { items: components, params } = input;
        let nonce = text(&params, "nonce")?;
        if nonce.as_ref().is_some_and(|nonce| nonce.is_empty() || nonce.len() > LONGEST_NONCE) {
            return Err(Denial::Malformed);
        }
        Ok(Self {
            parameters,
            created: time(&params, "created")?,
            expires: time(&params, "expires")?,
            nonce,
            key: text(&params, "keyid")?.unwrap_or_default(),
            algorithm: text(&params, "alg")?,
            tag: text(&params, "tag")?,
            components,
            signature,
        })
    }

    /// Whether it is of a component without parameters.
    pub(super) fn covers(&self, name: &str) -> bool {
        self.components.iter().any(|item| item.params.is_empty() && component(item) == name)
    }
}

/// The name of a component.
pub(super) fn component(item: &Item) -> &str {
    item.bare_item.as_string().map_or("", |name| name.as_str())
}

fn dictionary(request: &dyn Request, name: &str) -> Result<Dictionary, Denial> {
    let mut text: Vec<u8> = Vec::new();
    request.each(name, &mut |value| {
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        text.extend_from_slice(value);
    });
    Parser::new(&text).parse().map_err(|_| Denial::Malformed)
}

fn time(parameters: &Parameters, name: &str) -> Result<Option<i64>, Denial> {
    match parameters.get(name) {
        None => Ok(None),
        Some(BareItem::Integer(seconds)) => Ok(Some((*seconds).into())),
        Some(_) => Err(Denial::Malformed),
    }
}

fn text(parameters: &Parameters, name: &str) -> Result<Option<String>, Denial> {
    match parameters.get(name) {
        None => Ok(None),
        Some(BareItem::String(text)) => Ok(Some(text.as_str().to_owned())),
        Some(_) => Err(Denial::Malformed),
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}
