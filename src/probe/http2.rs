//! What went wrong in HTTP/2, in words: the codes by the names that RFC 9113 gives them, and who found fault.

use std::error::Error;

use h2::Reason as Code;

use super::cause::chain;
use crate::observation::{Failure, Reason};

/// The failure that an error of HTTP/2 stands for, before there was an answer; `None` when there is none among the causes.
pub(super) fn instead_of_an_answer(error: &(dyn Error + 'static)) -> Option<Failure> {
    let (_, sentence) = told(error)?;
    Some(Failure::new(Reason::ProtocolError, sentence))
}

/// The same in the middle of an answer: one that the peer ended is not whole, and one that we ended broke the rules.
pub(super) fn amid_an_answer(error: &(dyn Error + 'static)) -> Option<Failure> {
    let (by, sentence) = told(error)?;
    let reason = match by {
        By::Peer => Reason::ResponseTruncated,
        By::Us => Reason::ProtocolError,
    };
    Some(Failure::new(reason, sentence))
}

/// Who ended it.
enum By {
    Peer,
    Us,
}

fn told(error: &(dyn Error + 'static)) -> Option<(By, String)> {
    let error = chain(error).find_map(|cause| cause.downcast_ref::<h2::Error>())?;
    let code = error.reason()?;
    let name = name(code);
    if !error.is_remote() {
        let head = if code == Code::PROTOCOL_ERROR { ", or its head is larger than this exporter takes" } else { "" };
        return Some((By::Us, format!("what the peer sent is not HTTP/2 as it should be{head} ({name})")));
    }
    let sentence = if error.is_go_away() {
        let said = debug_data(error);
        let fine = if code == Code::NO_ERROR { "; it may be restarting" } else { "" };
        format!("the peer gave the HTTP/2 connection up (GOAWAY {name}{said}){fine}")
    } else {
        format!("the peer reset the request (RST_STREAM {name})")
    };
    Some((By::Peer, sentence))
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

/// What the peer's GOAWAY carries for people. The library gives it out in its text alone, in quotes and escaped.
fn debug_data(error: &h2::Error) -> String {
    const LONGEST: usize = 200;
    let text = error.to_string();
    let data = text.split_once(" (b\"").and_then(|(_, data)| data.strip_suffix("\")"));
    data.map_or_else(String::new, |data| format!(", saying \"{}\"", data.chars().take(LONGEST).collect::<String>()))
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

    #[test]
    fn what_we_refuse_is_no_truncation() {
        let ours = h2::Error::from(Code::FLOW_CONTROL_ERROR);
        let wanted = Failure::new(
            Reason::ProtocolError,
            "what the peer sent is not HTTP/2 as it should be (FLOW_CONTROL_ERROR)",
        );
        assert_eq!(instead_of_an_answer(&ours), Some(wanted.clone()));
        assert_eq!(amid_an_answer(&ours), Some(wanted));
        assert_eq!(instead_of_an_answer(&std::io::Error::other("x")), None);
    }
}
