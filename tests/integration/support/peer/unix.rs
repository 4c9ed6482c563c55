//! A server on a Unix socket that answers each line with another.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::support::runtime;

/// Ends when dropped.
pub(crate) struct Unix {
    path: PathBuf,
    task: AbortHandle,
    _dir: tempfile::TempDir,
}

impl Unix {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Unix {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn unix(answer: &'static str) -> Unix {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let _guard = runtime().enter();
    let listener = UnixListener::bind(&path).unwrap();
    let task = runtime().spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Ok((stream, _)) = listener.accept() => {
                    connections.spawn(say(stream, answer));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    });
    Unix { path, task: task.abort_handle(), _dir: dir }
}

async fn say(mut stream: UnixStream, answer: &'static str) {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(_)) = lines.next_line().await {
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
