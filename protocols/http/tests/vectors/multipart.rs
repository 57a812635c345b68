//! python-multipart's forms: their parts, and where the broken ones break.

use std::path::Path;

use base64::Engine as _;
use bytes::BytesMut;
use glowplug_http::multipart::{Boundary, MultipartError, MultipartEvent, MultipartLimits, MultipartReader};
use libtest_mimic::{Failed, Trial};

/// Where a form is not what its description says: its boundary is another than that names, by the two hyphens that go before any boundary (RFC 2046
/// §5.1.1). python-multipart's test feeds it differently.
const OTHER_BOUNDARY: (&str, &str) = ("single_field_blocks", "boundary");

/// What stands in a `.yaml`, as far as it is of use: `expected` is a list of parts, or where it breaks.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    parts: Vec<Part>,
    error: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Part {
    name: String,
    is_file: bool,
    filename: Option<String>,
    data: Vec<u8>,
}

pub(crate) fn trials(root: &Path) -> Result<Vec<Trial>, Failed> {
    let folder = root.join("python-multipart");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .map_err(|error| format!("python-multipart: {error}"))?
        .filter_map(|file| file.ok()?.file_name().to_str()?.strip_suffix(".yaml").map(str::to_owned))
        .collect();
    names.sort();
    if names.len() < 24 {
        return Err(format!("only {} forms", names.len()).into());
    }
    let trials = names.into_iter().map(|name| {
        let folder = folder.clone();
        Trial::test(format!("python-multipart/{name}"), move || {
            let yaml = std::fs::read_to_string(folder.join(format!("{name}.yaml")))?;
            let form = std::fs::read(folder.join(format!("{name}.http")))?;
            let (mut boundary, expected) = parse(&yaml)?;
            if name == OTHER_BOUNDARY.0 {
                let refused = read(&boundary, &[&form]).1.ok_or("read with the wrong boundary")?;
                if refused.offset != 2 {
                    return Err(format!("refused at {}", refused.offset).into());
                }
                boundary = Boundary::from_text(OTHER_BOUNDARY.1).ok_or("no boundary")?;
            }
            each_cut(&boundary, &form, &expected)
        })
    });
    Ok(trials.collect())
}

/// The subset of YAML that these files are written in.
fn parse(yaml: &str) -> Result<(Boundary, Expected), Failed> {
    let mut boundary = None;
    let mut expected = Expected::default();
    let mut base64: Option<String> = None;
    for line in yaml.lines().map(str::trim) {
        let line = match line.strip_prefix("- ") {
            Some(rest) => {
                flush(&mut expected, &mut base64)?;
                expected.parts.push(Part::default());
                rest
            }
            None => line,
        };
        let value = |key: &str| line.strip_prefix(key).map(|value| value.trim().trim_matches(['\'', '"']));
        if let Some(text) = value("boundary:") {
            boundary = Boundary::from_text(text);
        } else if let Some(offset) = value("error:") {
            expected.error = Some(offset.parse()?);
        } else if let Some(part) = expected.parts.last_mut() {
            if let Some(name) = value("name:") {
                name.clone_into(&mut part.name);
            } else if let Some(kind) = value("type:") {
                part.is_file = kind == "file";
            } else if let Some(name) = value("file_name:") {
                part.filename = Some(name.to_owned());
            } else if value("data:").is_some() {
                base64 = Some(String::new());
            } else if let (Some(text), None) = (&mut base64, value("content_type:")) {
                text.push_str(line);
            }
        }
    }
    flush(&mut expected, &mut base64)?;
    Ok((boundary.ok_or("no boundary")?, expected))
}

fn flush(expected: &mut Expected, base64: &mut Option<String>) -> Result<(), Failed> {
    if let (Some(part), Some(text)) = (expected.parts.last_mut(), base64.take()) {
        part.data = base64::engine::general_purpose::STANDARD.decode(text)?;
    }
    Ok(())
}

fn each_cut(boundary: &Boundary, form: &[u8], expected: &Expected) -> Result<(), Failed> {
    let whole = read(boundary, &[form]);
    let mut found = Expected { parts: whole.0.clone(), error: whole.1.map(|error| error.offset) };
    if expected.error.is_some() {
        // What comes before the fault is not told there.
        found.parts.clear();
    }
    if found != *expected {
        return Err(format!("expected {expected:?}, found {found:?}").into());
    }
    for cut in 0..=form.len() {
        let (one, other) = form.split_at(cut);
        if read(boundary, &[one, other]) != whole {
            return Err(format!("cut at {cut} it is another form").into());
        }
    }
    let bytes: Vec<&[u8]> = form.chunks(1).collect();
    if read(boundary, &bytes) != whole {
        return Err("byte by byte it is another form".into());
    }
    Ok(())
}

fn read(boundary: &Boundary, pieces: &[&[u8]]) -> (Vec<Part>, Option<MultipartError>) {
    let mut reader = MultipartReader::new(boundary, MultipartLimits::default());
    let (mut input, mut parts) = (BytesMut::new(), Vec::<Part>::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match reader.poll_event(&mut input) {
                Ok(None) => break,
                Ok(Some(MultipartEvent::Part(head))) => parts.push(Part {
                    name: head.name().to_owned(),
                    is_file: head.filename().is_some(),
                    filename: head.filename().map(str::to_owned),
                    data: Vec::new(),
                }),
                Ok(Some(MultipartEvent::Data(data))) => {
                    parts.last_mut().expect("a part began").data.extend_from_slice(&data);
                }
                Ok(Some(_)) => {}
                Err(error) => return (parts, Some(error)),
            }
        }
    }
    (parts, reader.finish(input.len()).err())
}
