//! Dialogues by HTTP with endpoints and other servers, in the clear or by TLS as their scheme says.

use crate::net::NetError;
use crate::proto::dialogue::{Dialogue, DialogueError};
use crate::proto::http1::{Client, HttpError};
use crate::proto::tls::{Connector, HandshakeError};
use crate::reactor::exchanges::ExchangeError;
use crate::scheme::Scheme;

/// A dialogue with the server of this name, which begins with the client's request.
///
/// # Errors
/// [`HandshakeError`] when a TLS session cannot begin: without a connector, for instance.
pub(super) fn dialogue(
    client: Client,
    scheme: Scheme,
    connector: Option<&dyn Connector>,
    name: &str,
) -> Result<Dialogue, HandshakeError> {
    let client = Dialogue::Http(Box::new(client));
    match (scheme, connector) {
        (Scheme::Http, _) => Ok(client),
        (Scheme::Https, Some(connector)) => {
            connector.connect(name).map(|session| Dialogue::over_tls(session, client))
        }
        (Scheme::Https, None) => Err(HandshakeError::Local),
    }
}

/// Whether a kept connection was lost in such a way that the server may have closed it just before
/// the request came (RFC 9112, 9.3.1).
pub(super) fn is_lost(error: ExchangeError) -> bool {
    matches!(
        error,
        ExchangeError::Net(NetError::Reset)
            | ExchangeError::Dialogue(DialogueError::Http(HttpError::Unanswered))
    )
}
