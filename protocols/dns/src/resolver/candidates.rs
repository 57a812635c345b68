//! Which names a host name may stand for.

use alloc::vec::Vec;

use crate::wire::{Name, NameError};

/// Whose rules to follow. They differ in what happens to a name with enough dots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SearchStyle {
    /// With enough dots, the name as it is goes first and the search list follows; else the other way round.
    #[default]
    Glibc,
    /// With enough dots, the name as it is and nothing else.
    Musl,
}

/// The names to try for `host`, in order.
///
/// A host that ends in a dot is tried as it is and nothing else. An entry of the root in the search list stands for the name as
/// it is. Names that would be too long are left out.
///
/// ```
/// use glowplug_dns::resolver::{SearchStyle, candidate_names};
/// let search = ["corp.example".parse().unwrap()];
/// let names = candidate_names("www", &search, 1, SearchStyle::Glibc)?;
/// assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["www.corp.example.", "www."]);
/// # Ok::<_, glowplug_dns::NameError>(())
/// ```
pub fn candidate_names(
    host: &str,
    search: &[Name],
    ndots: u32,
    style: SearchStyle,
) -> Result<Vec<Name>, NameError> {
    let name = Name::from_text(host.as_bytes())?;
    let absolute = host.ends_with('.') && !host.ends_with("\\.");
    let dots = host.bytes().filter(|b| *b == b'.').count();
    let enough = dots >= ndots as usize;
    if absolute || (enough && style == SearchStyle::Musl) {
        return Ok(alloc::vec![name]);
    }
    let mut names: Vec<Name> = Vec::with_capacity(search.len() + 1);
    let mut push = |candidate: Name| {
        if !names.contains(&candidate) {
            names.push(candidate);
        }
    };
    if enough {
        push(name.clone());
    }
    search.iter().filter_map(|suffix| name.join(suffix).ok()).for_each(&mut push);
    push(name);
    Ok(names)
}
