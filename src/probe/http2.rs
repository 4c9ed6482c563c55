//! What went wrong in HTTP/2, in words: the codes by the names that RFC 9113 gives them, and who found fault.

use std::error::Error;

use h2::Reason as Code;

use super::cause::chain;
use crate::observation::{Failure, Reason};

/// The failure that an error of HTTP/2 stands for; `None` when there is none among the causes.
pub(super) fn failure(error: &(dyn Error + 'static)) -> Option<Failure> {
    let error = chain(error).find_map(|cause| cause.downcast_ref::<h2::Error>())?;
    let code = error.reason()?;
    let name = name(code);
    let said = debug_data(error);
    let (reason, sentence) = match (error.is_remote(), error.is_go_away()) {
        (true, true) if code == Code::NO_ERROR => {
            let what = "the peer shut the HTTP/2 connection down instead of answering";
            (Reason::ConnectReset, format!("{what} (GOAWAY {name}{said}); it may be restarting"))
        }
        (true, true) => {
            let what = "the peer gave the HTTP/2 connection up instead of answering";
            (Reason::ConnectReset, format!("{what} (GOAWAY {name}{said})"))
        }
        (true, false) => (Reason::ConnectReset, format!("the peer reset the request (RST_STREAM {name})")),
        (false, _) if code == Code::PROTOCOL_ERROR => {
            let what =
                "what the peer sent is not HTTP/2 as it should be, or its head is larger than this exporter takes";
            (Reason::ProtocolError, format!("{what} ({name}{said})"))
        }
        (false, _) => {
            (Reason::ProtocolError, format!("what the peer sent is not HTTP/2 as it should be ({name}{said})"))
        }
    };
    Some(Failure::new(reason, sentence))
}

/// The name in the RFC, or the number of a code that has none.
fn name(code: Code) -> String {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    let number = u32::from(code);
    let known = usize::try_from(number).ok().and_then(|index| NAMES.get(index));
    known.map_or_else(|| format!("code {number}"), |name| (*name).to_owned())
}

/// What a GOAWAY carries for people. The library gives it out in its text alone, in quotes and escaped.
fn debug_data(error: &h2::Error) -> String {
    const LONGEST: usize = 200;
    let text = error.to_string();
    let data = text.split_once(" (b\"").and_then(|(_, data)| data.strip_suffix("\")"));
    data.map_or_else(String::new, |data| format!(": {}", data.chars().take(LONGEST).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_names() {
        assert_eq!(name(Code::NO_ERROR), "NO_ERROR");
        assert_eq!(name(Code::HTTP_1_1_REQUIRED), "HTTP_1_1_REQUIRED");
        assert_eq!(name(Code::from(77)), "code 77");
    }
}
