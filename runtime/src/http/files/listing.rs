//! A directory as a page.

use std::fmt::Write as _;
use std::path::Path;

use super::root::Entry;

/// Nothing on the page may run or load anything.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The page of `path`, which is empty for the top.
pub(super) fn page(path: &Path, mut entries: Vec<Entry>, more: bool) -> String {
    entries.sort_by(|a, b| b.directory.cmp(&a.directory).then_with(|| a.name.cmp(&b.name)));
    let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
    let mut title = String::from("/");
    for name in &names {
        title.push_str(&escape(name));
        title.push('/');
    }
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>td {{ padding-right: 2em }} td:nth-child(2) {{ text-align: right }}</style>\n\
         <h1>{title}</h1>\n<table>\n"
    );
    if !names.is_empty() {
        page.push_str("<tr><td><a href=\"../\">../</a>\n");
    }
    for Entry { name, directory, size, modified } in &entries {
        let slash = if *directory { "/" } else { "" };
        let (link, text) = (encode(name), escape(name));
        let size = if *directory { String::new() } else { size.to_string() };
        let modified = modified.map(httpdate::fmt_http_date).unwrap_or_default();
        let _ =
            writeln!(page, "<tr><td><a href=\"./{link}{slash}\">{text}{slash}</a><td>{size}<td>{modified}");
    }
    page.push_str("</table>\n");
    if more {
        page.push_str("<p>There is more than this list can hold.\n");
    }
    page
}

/// For text and quoted attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// As a segment of a path (RFC 3986 §2.3).
fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => {
                let _ = write!(encoded, "%{other:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_and_nothing_else() {
        let name = "<img src=x onerror=\"alert('1')\">&javascript:";
        let entries = vec![
            Entry { name: name.to_owned(), directory: false, size: 5, modified: None },
            Entry { name: "b".to_owned(), directory: true, size: 4096, modified: None },
        ];
        let page = page(Path::new("a<b/c"), entries, true);
        assert!(!page.contains("<img") && !page.contains("=\"alert") && !page.contains("a<b"), "{page}");
        assert!(
            page.contains(
                "href=\"./%3Cimg%20src%3Dx%20onerror%3D%22alert%28%271%27%29%22%3E%26javascript%3A\""
            )
        );
        assert!(
            page.contains(
                "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;javascript:</a><td>5"
            )
        );
        assert!(page.find("./b/").expect("a directory") < page.find("./%3C").expect("a file"));
        assert!(page.contains("There is more") && page.contains("\"../\""));
    }
}
