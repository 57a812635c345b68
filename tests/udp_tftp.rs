//! The example's TFTP server, tried by curl.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use glowplug::smol::Smol;
use glowplug::smol::udp::Listener;
use libtest_mimic::{Arguments, Failed, Trial};

#[path = "../examples/udp_tftp.rs"]
#[allow(dead_code, reason = "its main is the example's")]
mod tftp;

fn main() -> ExitCode {
    let speaks_tftp = Command::new("curl").arg("--version").output().is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).split_whitespace().any(|protocol| protocol == "tftp")
    });
    let required = std::env::var("GLOWPLUG_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
    let trial = if speaks_tftp || required {
        Trial::test("files go both ways", files_go_both_ways)
    } else {
        Trial::test("curl with tftp is not installed", || Ok(())).with_ignored_flag(true)
    };
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

/// Runs curl, and gives what it printed.
fn curl(arguments: &[&str]) -> Result<Vec<u8>, Failed> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20"])
        .args(arguments)
        .output()?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into())
    }
}

fn files_go_both_ways() -> Result<(), Failed> {
    let root = std::env::temp_dir().join(format!("glowplug-tftp-{}", std::process::id()));
    fs::create_dir_all(&root)?;
    let outcome = with_server(&root);
    fs::remove_dir_all(&root)?;
    outcome
}

fn with_server(root: &Path) -> Result<(), Failed> {
    let listener = smol::block_on(Listener::bind(Smol::default(), ([127, 0, 0, 1], 0).into()))?;
    let (at, stopper) = (listener.local_addr(), listener.stopper());
    let folder = Arc::new(root.to_path_buf());
    let serving =
        smol::spawn(listener.serve(move |client| tftp::transfer(Smol::default(), folder.clone(), client)));
    // Shorter than a block, longer, and just as long: the last block is then an empty one.
    for (name, len) in
        [("short", 11_usize), ("long", 100_000), ("even", 1428 * 2), ("512", 512), ("empty", 0)]
    {
        let content: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        fs::write(root.join(name), &content)?;
        let url = format!("tftp://{at}/{name}");
        for more in [&["--tftp-no-options"][..], &[], &["--tftp-blksize", "1428"]] {
            if len == 0 && more != ["--tftp-no-options"] {
                // curl takes an announced size of zero for an error.
                continue;
            }
            let got = curl(&[&[&url[..]][..], more].concat())?;
            if got != content {
                return Err(format!("{name} came with {} bytes and {more:?}", got.len()).into());
            }
        }
        let copy = format!("{name}-copy");
        let from = root.join(name);
        curl(&["--upload-file", &from.to_string_lossy(), &format!("tftp://{at}/{copy}")])?;
        if fs::read(root.join(&copy))? != content {
            return Err(format!("{copy} is another file").into());
        }
        // It is there already.
        if curl(&["--upload-file", &from.to_string_lossy(), &format!("tftp://{at}/{copy}")]).is_ok() {
            return Err(format!("{copy} was overwritten").into());
        }
    }
    for name in ["nothing", "..", ".hidden"] {
        if curl(&["--path-as-is", &format!("tftp://{at}/{name}")]).is_ok() {
            return Err(format!("{name} was served").into());
        }
    }
    stopper.stop();
    smol::block_on(serving)?;
    Ok(())
}
