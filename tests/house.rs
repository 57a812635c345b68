//! The tests that keep the house: arrows point down, trees hold no stranger, and what says `no_std` is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A target folder of its own: these builds have other features, and must not wait for the one that runs this test.
fn own_target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("house")
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .env("CARGO_TARGET_DIR", own_target())
        .output()
        .expect("cargo runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {}:\n{error}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("cargo speaks UTF-8")
}

/// The floors of the house, from the ground up. A package may depend on packages of lower floors only.
fn floor(package: &str) -> Option<usize> {
    Some(match package {
        "glowplug-core" => 0,
        "glowplug-dns" | "glowplug-http" | "glowplug-mongodb" | "glowplug-redis" | "glowplug-riak"
        | "glowplug-udp" | "glowplug-websocket" => 1,
        "glowplug-runtime" => 2,
        "glowplug-sim" | "glowplug-smol" | "glowplug-tokio" => 3,
        "glowplug" => 4,
        // Beside the facade: nothing depends on it but tests.
        "glowplug-conformance" => 5,
        _ => return None,
    })
}

/// What no package below the plugs may name.
const EXECUTORS: [&str; 6] = ["tokio", "smol", "async-io", "async-executor", "mio", "async-std"];

/// Every arrow in the workspace that does not point down.
fn wrong_arrows(metadata: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(own) = floor(name) else {
            wrong.push(format!("{name} has no floor"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let of = dependency["name"].as_str().unwrap_or_default();
            if dependency["kind"] == "dev" {
                continue;
            }
            if own < 3 && EXECUTORS.contains(&of) {
                wrong.push(format!("{name} names the executor {of}"));
            }
            if let Some(other) = floor(of)
                && other >= own
            {
                wrong.push(format!("{name} depends on {of}, which is not below it"));
            }
        }
    }
    wrong
}

#[test]
fn every_arrow_points_down() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version=1", "--locked"]))
            .expect("JSON");
    assert_eq!(wrong_arrows(&metadata), Vec::<String>::new());
}

#[test]
fn an_arrow_that_points_up_or_sideways_is_found() {
    let package = |name: &str, of: &str, kind: Value| json!({ "packages": [{ "name": name, "dependencies": [{ "name": of, "kind": kind }] }] });
    for (name, of) in [
        ("glowplug-core", "glowplug-redis"),
        ("glowplug-redis", "glowplug-http"),
        ("glowplug-redis", "tokio"),
        ("glowplug-runtime", "smol"),
        ("glowplug-tokio", "glowplug-smol"),
        ("glowplug", "glowplug-conformance"),
        ("stranger", "glowplug-core"),
    ] {
        assert_eq!(wrong_arrows(&package(name, of, Value::Null)).len(), 1, "{name} -> {of}");
    }
    assert!(wrong_arrows(&package("glowplug-redis", "tokio", json!("dev"))).is_empty());
    assert!(wrong_arrows(&package("glowplug-tokio", "tokio", Value::Null)).is_empty());
}

/// The names of everything that `package` with these features pulls in.
fn tree(package: &str, features: &str) -> BTreeSet<String> {
    let listing = cargo(&[
        "tree",
        "--locked",
        "-p",
        package,
        "--no-default-features",
        "--features",
        features,
        "-e",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    listing.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_smol_build_has_no_tokio_and_no_mio() {
    let smol = tree("glowplug", "smol,http-compression,http-files,redis,tls");
    assert!(smol.contains("smol") && smol.contains("glowplug-redis"), "{smol:?}");
    assert!(smol.contains("glowplug-http") && smol.contains("tower-service"), "{smol:?}");
    for stranger in ["tokio", "mio"] {
        assert!(!smol.contains(stranger), "{stranger} is in the tree of the smol build");
    }
    // The same question does find it where it is.
    assert!(tree("glowplug", "tokio,redis").contains("tokio"));
}

#[test]
fn axum_as_it_is_served_here_has_no_executor() {
    let listing = cargo(&[
        "tree", "--locked", "-p", "axum",
        // Only tests depend on it here, so their edges count too.
        "-e", "all", "--prefix", "none", "--format", "{p}",
    ]);
    let tree: BTreeSet<&str> = listing.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(tree.contains("tower"), "{tree:?}");
    for stranger in EXECUTORS.into_iter().chain(["hyper"]) {
        assert!(!tree.contains(stranger), "{stranger} is in the tree of axum");
    }
}

#[test]
fn a_protocol_alone_has_no_executor() {
    for package in ["core", "dns", "http", "mongodb", "redis", "riak", "udp"] {
        let tree = tree(&format!("glowplug-{package}"), "");
        for stranger in EXECUTORS {
            assert!(!tree.contains(stranger), "{stranger} is in the tree of glowplug-{package}");
        }
    }
}

#[test]
fn what_says_no_std_links_no_std() {
    cargo(&["build", "--locked", "--manifest-path", "probe/Cargo.toml"]);
}
