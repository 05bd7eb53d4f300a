//! One order: from the names to a chain of certificates (RFC 8555 §7.4).

use super::{Failure, block, hook, said};
use crate::control::chain;
use crate::tls::acme::{Answers, Blame, Challenge, Published, Spec};
use instant_acme::{
    Account, AuthorizationStatus, ChallengeHandle, ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// What an order gave, in PEM.
pub(super) struct Issued {
    pub(super) key: String,
    pub(super) chain: String,
}

/// How long an order may take beside the programs that write to DNS: the authority looks from several places.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// How an order is looked at until its state changes.
const LOOKS: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(300)).backoff(1.5).timeout(Duration::from_secs(300));
/// How often a question is asked again that the authority or the way to it failed.
const AGAIN: usize = 5;

/// Has a certificate issued. What was published for it is gone when this returns, or is given up.
pub(super) async fn run(spec: &Arc<Spec>, answers: &Arc<Answers>, account: &Account) -> Result<Issued, Failure> {
    let mut shown = Shown::default();
    let longest = match &spec.challenge {
        Challenge::Dns { timeout, .. } => {
            LONGEST.saturating_add(timeout.saturating_mul(u32::try_from(spec.names.len()).unwrap_or(u32::MAX)))
        }
        _ => LONGEST,
    };
    let result = match timeout(longest, issue(spec, answers, account, &mut shown)).await {
        Ok(result) => result,
        Err(_) => Err(Failure::ours(format!("the order was not done within {longest:?}"))),
    };
    shown.take_back(spec).await;
    result
}

/// What is shown to the authority for the time of an order.
#[derive(Default)]
struct Shown {
    published: Vec<Published>,
    /// Names and values.
    records: Vec<(String, String)>,
}

async fn issue(
    spec: &Arc<Spec>,
    answers: &Arc<Answers>,
    account: &Account,
    shown: &mut Shown,
) -> Result<Issued, Failure> {
    let names: Vec<Identifier> = spec.names.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        let name = authorization.identifier().to_string();
        match authorization.status {
            // Shown for an earlier order.
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            other => return Err(refused(format!("the authorization for `{name}` is {other:?}"))),
        }
        let kind = match spec.challenge {
            Challenge::Http => ChallengeType::Http01,
            Challenge::TlsAlpn => ChallengeType::TlsAlpn01,
            Challenge::Dns { .. } => ChallengeType::Dns01,
        };
        let Some(mut challenge) = authorization.challenge(kind) else {
            return Err(refused(format!("the authority does not offer this challenge for `{name}`")));
        };
        shown.show(spec, answers, &challenge).await?;
        challenge.set_ready().await?;
    }
    let ready = stubbornly(&mut order, |order| Box::pin(order.poll_ready(&LOOKS))).await;
    if !matches!(ready, Ok(OrderStatus::Ready)) {
        return Err(explain(&mut order, ready).await);
    }
    let (key, request) = block(spec, Spec::request).await.map_err(Failure::ours)?;
    let asked = stubbornly(&mut order, |order| {
        let request = request.clone();
        Box::pin(async move { order.finalize_csr(&request).await })
    })
    .await;
    // If only the answer was lost, the order's state says so.
    if let Err(error @ Error::Api(_)) = asked {
        return Err(error.into());
    }
    let chain = stubbornly(&mut order, |order| Box::pin(order.poll_certificate(&LOOKS))).await;
    let chain = chain.map_err(|error| Failure { blame: Blame::Spent, ..error.into() })?;
    Ok(Issued { key, chain })
}

impl Shown {
    async fn show(
        &mut self,
        spec: &Arc<Spec>,
        answers: &Arc<Answers>,
        challenge: &ChallengeHandle<'_>,
    ) -> Result<(), Failure> {
        let proof = challenge.key_authorization();
        let Identifier::Dns(name) = challenge.identifier().identifier else {
            return Err(refused("the authority asks for something that is no name".to_owned()));
        };
        match &spec.challenge {
            Challenge::Http => self.published.push(answers.publish_text(&challenge.token, proof.as_str())),
            Challenge::TlsAlpn => {
                let digest: [u8; 32] = proof
                    .digest()
                    .as_ref()
                    .try_into()
                    .map_err(|_| Failure::ours("the library gives no SHA-256 digest: please report it"))?;
                let (name, answers) = (name.clone(), answers.clone());
                let published = block(spec, move |_| answers.publish_certificate(&name, &digest)).await;
                self.published.push(published.map_err(Failure::ours)?);
            }
            Challenge::Dns { hook, timeout } => {
                let (record, value) = (format!("_acme-challenge.{name}"), proof.dns_value());
                // It is taken back even if the program fails: it may have done a part.
                self.records.push((record.clone(), value.clone()));
                hook::call(hook, *timeout, "present", &record, &value).await.map_err(Failure::ours)?;
            }
        }
        Ok(())
    }

    async fn take_back(self, spec: &Spec) {
        let Challenge::Dns { hook, timeout } = &spec.challenge else { return };
        for (record, value) in &self.records {
            if let Err(what) = hook::call(hook, *timeout, "cleanup", record, value).await {
                tracing::warn!(listener = spec.listener, record, "a record stays in DNS: {what}");
            }
        }
    }
}

type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Asks again where asking again may help.
async fn stubbornly<T>(
    order: &mut Order,
    mut ask: impl for<'a> FnMut(&'a mut Order) -> Asked<'a, T>,
) -> Result<T, Error> {
    let mut left = AGAIN;
    loop {
        match ask(order).await {
            Err(error) if left > 0 && passes(&error) => {
                tracing::debug!("asking the authority again: {}", chain(&error));
                left -= 1;
                sleep(Duration::from_secs(1)).await;
            }
            other => return other,
        }
    }
}

/// Whether a failure may be gone the next time.
fn passes(error: &Error) -> bool {
    match error {
        Error::Api(problem) => problem.r#type.as_deref().is_some_and(|kind| kind.ends_with(":badNonce")),
        Error::Other(_) => true,
        _ => false,
    }
}

/// Why an order is not ready: what the authority says about each name.
async fn explain(order: &mut Order, ready: Result<OrderStatus, Error>) -> Failure {
    if let Err(error) = &ready
        && !matches!(error, Error::Api(_))
    {
        return Failure::ours(format!("the authority did not come to a decision: {}", chain(error)));
    }
    // Without these, nobody could tell what to mend: one answer that is lost must not cost them.
    let words = stubbornly(order, |order| Box::pin(words(order))).await.unwrap_or_default();
    match ready {
        Err(error) if words.is_empty() => error.into(),
        _ if words.is_empty() => refused("the order became invalid".to_owned()),
        _ => refused(format!("the authority does not see that the name is ours: {}", words.join("; "))),
    }
}

/// What is wrong with each name whose challenge has failed.
async fn words(order: &mut Order) -> Result<Vec<String>, Error> {
    let mut words = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        let name = authorization.identifier().to_string();
        let challenges = &authorization.refresh().await?.challenges;
        let problems = challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        words.extend(problems.map(|problem| format!("`{name}`: {}", said(problem))));
    }
    Ok(words)
}

fn refused(what: String) -> Failure {
    Failure { blame: Blame::Refused, ..Failure::ours(what) }
}
