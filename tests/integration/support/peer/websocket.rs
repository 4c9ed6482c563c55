//! A WebSocket server that says back what it is told.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::accept_async;

use super::Listening;

pub(crate) fn websocket() -> Listening {
    Listening::start(echo)
}

async fn echo(stream: TcpStream) {
    let Ok(mut socket) = accept_async(stream).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        let answer = if message.is_text() { socket.send(message).await } else { Ok(()) };
        if answer.is_err() {
            return;
        }
    }
}
