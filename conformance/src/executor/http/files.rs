//! Files over HTTP: threads of nobody's wake the executor, and what is dropped meanwhile is closed.

use std::fs;
use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use glowplug_runtime::Runtime;
use glowplug_runtime::http::files::{FileBody, Files};
use http::{Request, Response};
use http_body::Body as _;
use tower_service::Service as _;

use crate::executor::io::polled;
use crate::executor::{Executor, Stop, Trial, Tried, When as _, World, cases_of, ensure, trial};
use crate::runner::Case;

/// More polls than any of these futures takes.
const MANY: usize = 200;

/// Bytes of the file: some pieces and a bit.
const LEN: usize = 100_000;

/// Every case, with the name of its suite.
pub fn cases<E: Executor>() -> Vec<(&'static str, Case)> {
    // Time that is virtual does not wait for threads.
    let skip = E::SEEDED.then_some("virtual time does not wait for threads");
    cases_of::<E>("http-files", trials(skip))
}

fn trials<R: Runtime>(skip: Option<&'static str>) -> Vec<Trial<R>> {
    vec![
        trial!("a-file-read-where-it-is-asked-for", on_the_spot),
        trial!(skip skip, "a-file-read-on-threads", on_threads),
        trial!(skip skip, "answers-dropped-at-every-poll", dropped),
    ]
}

/// A folder with one file in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Stop> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("glowplug-folder-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).when("make a folder")?;
        fs::write(folder.join("file.txt"), content()).when("write a file")?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn content() -> Vec<u8> {
    (0..LEN).map(|n| (n % 251) as u8).collect()
}

async fn ask(files: &mut Files, range: Option<&str>) -> Result<Response<FileBody>, Stop> {
    let mut request = Request::get("/file.txt");
    if let Some(range) = range {
        request = request.header("range", range);
    }
    let Ok(answer) = files.call(request.body(()).when("a request")?).await;
    Ok(answer)
}

async fn all(body: FileBody) -> Result<Vec<u8>, Stop> {
    let (mut body, mut all) = (pin!(body), Vec::new());
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(data) = frame.when("read a file")?.into_data() {
            all.extend_from_slice(&data);
        }
    }
    Ok(all)
}

async fn read(on_threads: bool) -> Tried {
    let folder = Folder::new()?;
    let mut files = Files::new(&folder.0).when("open a folder")?.piece_size(4096).on_threads(on_threads);
    for _ in 0..10 {
        let answer = ask(&mut files, None).await?;
        ensure(answer.status() == 200, || format!("a file is a {}", answer.status()))?;
        ensure(all(answer.into_body()).await? == content(), || "other bytes came".to_owned())?;
        let answer = ask(&mut files, Some("bytes=5000-20000")).await?;
        ensure(answer.status() == 206, || format!("a part is a {}", answer.status()))?;
        let part = all(answer.into_body()).await?;
        ensure(part == content()[5000..=20_000], || "another part came".to_owned())?;
    }
    Ok(())
}

async fn on_the_spot<R: Runtime>(_world: World<R>) -> Tried {
    read(false).await
}

async fn on_threads<R: Runtime>(_world: World<R>) -> Tried {
    read(true).await
}

async fn dropped<R: Runtime>(_world: World<R>) -> Tried {
    let folder = Folder::new()?;
    let mut files = Files::new(&folder.0).when("open a folder")?.piece_size(4096);
    for polls in 0..MANY {
        let whole = async { all(ask(&mut files, None).await?.into_body()).await };
        if let Some(read) = polled(polls, whole).await {
            return ensure(read? == content(), || "other bytes came".to_owned());
        }
    }
    Err(Stop(format!("one file takes more than {MANY} polls")))
}
