//! Compiles every contract under proto/ with protox, so that no protoc is needed.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message as _;
use prost_reflect::{DescriptorPool, Value};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());

    let mut protos = Vec::new();
    collect(&root, &mut protos)?;
    protos.sort();

    let mut compiler = protox::Compiler::new([&root])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(&protos)?;
    // The encoded form keeps the custom options, which prost's own types would drop.
    let encoded = compiler.encode_file_descriptor_set();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptor.bin"), &encoded)?;
    fs::write(out.join("permissions.rs"), permissions(&encoded)?)?;

    let mut config = prost_build::Config::new();
    // The command line prints any message as JSON, by its full name.
    config.enable_type_names();
    tonic_prost_build::configure()
        .include_file("contracts.rs")
        .compile_fds_with_config(prost_types_set(&encoded)?, config)?;
    Ok(())
}

fn collect(directory: &Path, protos: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, protos)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            protos.push(path);
        }
    }
    Ok(())
}

fn prost_types_set(encoded: &[u8]) -> Result<prost_types::FileDescriptorSet, Box<dyn Error>> {
    Ok(prost_types::FileDescriptorSet::decode(encoded)?)
}

/// One line per RPC of Reeve: its path and the permission that its contract declares.
fn permissions(encoded: &[u8]) -> Result<String, Box<dyn Error>> {
    let pool = DescriptorPool::decode(encoded)?;
    let option = pool
        .get_extension_by_name("reeve.auth.v1.permission")
        .ok_or("proto/reeve/auth/v1/permission.proto does not define the option")?;
    let mut rows = String::from("&[\n");
    for service in pool
        .services()
        .filter(|s| s.full_name().starts_with("reeve."))
    {
        for method in service.methods() {
            let options = method.options();
            let permission = match options.get_extension(&option).as_ref() {
                Value::String(permission) => permission.clone(),
                _ => String::new(),
            };
            let path = format!("/{}/{}", service.full_name(), method.name());
            writeln!(rows, "    ({path:?}, {permission:?}),")?;
        }
    }
    rows.push_str("]\n");
    Ok(rows)
}
