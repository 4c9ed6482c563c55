//! What a gRPC run showed.

/// One call of the gRPC health service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GrpcDetail {}
