//! One request by HTTP/2.

use super::super::finding::Finding;
use super::conversation::HELD;
use super::dial::Wire;
use hyper::body::Bytes;
use hyper::header::HeaderMap;

/// What came back.
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// The head's fields.
    pub(super) head: HeaderMap,
    /// As much of the body as matters, and no more than is held of an answer.
    pub(super) body: Vec<u8>,
    /// The fields behind the body, if it was read to its end.
    pub(super) trailers: HeaderMap,
}

/// Sends `request` with `body`. `enough`: whether what has come of the answer's body is all that matters.
pub(super) async fn ask(
    wire: Box<dyn Wire>,
    request: hyper::Request<()>,
    body: Bytes,
    enough: impl Fn(&[u8]) -> bool,
) -> Result<Answer, Finding> {
    let exchange = async {
        let (sender, connection) = ::h2::client::handshake(wire).await?;
        let answer = async {
            let (answer, mut upload) = sender.ready().await?.send_request(request, body.is_empty())?;
            if !body.is_empty() {
                upload.send_data(body, true)?;
            }
            let (head, mut stream) = answer.await?.into_parts();
            let mut held = Vec::new();
            let mut trailers = HeaderMap::new();
            while !enough(&held) && held.len() < HELD {
                let Some(data) = stream.data().await.transpose()? else {
                    trailers = stream.trailers().await?.unwrap_or_default();
                    break;
                };
                let _ = stream.flow_control().release_capacity(data.len());
                held.extend_from_slice(&data[..data.len().min(HELD - held.len())]);
            }
            Ok(Answer { status: head.status.as_u16(), head: head.headers, body: held, trailers })
        };
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            ended = connection => Err(ended.err().unwrap_or_else(|| ::h2::Reason::NO_ERROR.into())),
        }
    };
    exchange.await.map_err(|error: ::h2::Error| {
        Finding::bad(match error.reason() {
            _ if error.is_io() => "closed without an answer".to_owned(),
            Some(::h2::Reason::NO_ERROR) => "closed without an answer".to_owned(),
            Some(reason) if error.is_remote() => format!("HTTP/2: the target says {reason:?}"),
            _ => "the answer is not HTTP/2".to_owned(),
        })
    })
}
