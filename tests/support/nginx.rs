//! A real nginx, found on the path. Without one there is nothing to see, unless `GLOWPLUG_REQUIRE_SERVERS=1` asks for failure.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running nginx with a folder of its own; both go when it is dropped.
pub(crate) struct Nginx {
    process: Child,
    folder: PathBuf,
    /// The two ports that were picked for it.
    pub(crate) ports: [u16; 2],
}

impl Nginx {
    /// Starts one under a `name` of its own. `prepare` fills its folder, `inside` is what stands in the `http` block for two ports, each of
    /// which it has to listen on.
    pub(crate) fn start(
        name: &str,
        prepare: impl FnOnce(&Path),
        inside: impl Fn(&Path, [u16; 2]) -> String,
    ) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("glowplug-nginx-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        prepare(&folder);
        // A port that was free may be taken a moment later.
        for _ in 0..5 {
            let ports = [free_port(), free_port()];
            fs::write(folder.join("nginx.conf"), config(&folder, &inside(&folder, ports))).expect("written");
            let started = Command::new("nginx")
                .arg("-p")
                .arg(&folder)
                .args(["-c", "nginx.conf"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let Ok(mut process) = started else {
                let required = std::env::var("GLOWPLUG_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
                assert!(!required, "nginx is not installed, and GLOWPLUG_REQUIRE_SERVERS asks for it");
                // To the terminal itself: what a passing test prints is seen by nobody.
                let _ =
                    std::io::Write::write_all(&mut std::io::stderr(), b"skipped: nginx is not installed\n");
                let _ = fs::remove_dir_all(&folder);
                return None;
            };
            for _ in 0..500 {
                if ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()) {
                    return Some(Self { process, folder, ports });
                }
                if process.try_wait().is_ok_and(|ended| ended.is_some()) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("nginx does not start: {}", fs::read_to_string(folder.join("error.log")).unwrap_or_default());
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// One process, which keeps all its files in `folder`.
fn config(folder: &Path, inside: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{ worker_connections 64; }}
        http {{
            access_log off; default_type text/plain; client_max_body_size 10m;
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
            {inside}
        }}"
    )
}
