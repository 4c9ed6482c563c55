//! gRPC status codes by name. <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>

const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

pub(super) const OK: u32 = 0;
pub(super) const UNIMPLEMENTED: u32 = 12;

/// The name, or the number of a code that no version of gRPC has.
pub(super) fn name(code: u32) -> String {
    let known = usize::try_from(code).ok().and_then(|index| NAMES.get(index));
    known.map_or_else(|| code.to_string(), |name| (*name).to_owned())
}

/// What an HTTP status means when there is no gRPC status beside it.
/// <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>
pub(super) fn of_http(status: http::StatusCode) -> u32 {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => UNIMPLEMENTED,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_names() {
        assert_eq!(name(OK), "OK");
        assert_eq!(name(UNIMPLEMENTED), "UNIMPLEMENTED");
        assert_eq!(name(16), "UNAUTHENTICATED");
        assert_eq!(name(17), "17");
        assert_eq!(name(u32::MAX), "4294967295");
    }
}
