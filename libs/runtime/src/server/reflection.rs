//! Reflection in both versions that clients speak: old tools know v1alpha alone. What it shows is
//! public anyway; grpcurl needs the types of error details in it to print them.

use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};

/// Adds both reflection services, which list `services`.
pub(super) fn add(routes: Routes, services: &[&'static str]) -> Result<Routes, Error> {
    let builder = || {
        let described = Builder::configure()
            .register_encoded_file_descriptor_set(reeve_contracts::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(
                tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
            );
        let open = [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        ];
        services
            .iter()
            .copied()
            .chain(open)
            .fold(described, Builder::with_service_name)
    };
    Ok(routes
        .add_service(builder().build_v1()?)
        .add_service(builder().build_v1alpha()?))
}
