//! The account with an authority: made once, kept on disk, shared by all listeners with that authority.

use super::client::Client;
use super::{Failure, block};
use crate::tls::acme::{self, Spec};
use instant_acme::{Account, AccountCredentials, NewAccount};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is kept of an account; its key is in the credentials.
#[derive(Deserialize, Serialize)]
struct Kept {
    contact: Option<String>,
    credentials: AccountCredentials,
}

/// The account that is kept, or a new one. Whoever configures an authority agrees to its terms.
pub(super) async fn open(spec: &Arc<Spec>) -> Result<Account, Failure> {
    let client = block(spec, |spec| Client::new(spec.ca.as_deref())).await.map_err(Failure::ours)?;
    let builder = Account::builder_with_http(Box::new(client));
    let contact = spec.contact.as_ref().map(|address| format!("mailto:{address}"));
    let contacts: Vec<&str> = contact.as_deref().into_iter().collect();
    let kept = block(spec, read).await.map_err(Failure::ours)?;
    let (account, kept) = match kept {
        Some(mut kept) => {
            let again = copy(&kept.credentials)?;
            let account = builder.from_credentials(again).await?;
            if kept.contact == contact {
                return Ok(account);
            }
            account.update_contacts(&contacts).await?;
            kept.contact = contact;
            (account, kept)
        }
        None => {
            let new = NewAccount { contact: &contacts, terms_of_service_agreed: true, only_return_existing: false };
            let (account, credentials) = builder.create(&new, spec.directory.clone(), None).await?;
            let (listener, ca) = (&spec.listener, spec.authority());
            tracing::info!(listener, ca, id = account.id(), "account made with the authority");
            (account, Kept { contact, credentials })
        }
    };
    let text = serde_json::to_string(&kept).map_err(|error| Failure::ours(error.to_string()))?;
    block(spec, move |spec| acme::write_text(&spec.account_file(), &text)).await.map_err(Failure::ours)?;
    Ok(account)
}

/// Puts an account aside that the authority does not know, so that the next order makes a new one.
pub(super) async fn forget(spec: &Arc<Spec>) {
    let aside = |spec: &Spec| {
        let file = spec.account_file();
        std::fs::rename(&file, file.with_extension("unknown")).map_err(|error| error.to_string())
    };
    if let Err(error) = block(spec, aside).await {
        tracing::error!(ca = spec.authority(), %error, "the account that the authority does not know cannot be put aside");
    }
}

fn read(spec: &Spec) -> Result<Option<Kept>, String> {
    let file = spec.account_file();
    let Some(text) = acme::read_text(&file)? else { return Ok(None) };
    // What is wrong is not said: it could show a part of the key.
    let broken = |_| format!("`{}` is no account; restore it, or remove it to get a new one", file.display());
    serde_json::from_str(&text).map(Some).map_err(broken)
}

/// The library takes credentials away that are kept here.
fn copy(credentials: &AccountCredentials) -> Result<AccountCredentials, Failure> {
    let copy = serde_json::to_value(credentials).and_then(serde_json::from_value);
    copy.map_err(|_| Failure::ours("the account cannot be used"))
}
