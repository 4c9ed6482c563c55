//! What a WebSocket run showed.

/// One WebSocket run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WebsocketDetail {}
