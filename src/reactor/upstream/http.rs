//! Dialogues by HTTP with endpoints and other servers, in the clear or by TLS as their scheme says.

use crate::proto::dialogue::Dialogue;
use crate::proto::http1::Client;
use crate::proto::tls::{Connector, HandshakeError};
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
