//! Rules of the manual: links that lead somewhere.

use std::path::Path;

use crate::finding::{Finding, finding};
use crate::source::Source;

/// Links of the manual lead to files that are there, and to headings that those have. What is
/// installed has the same folders, so there they do as well.
pub fn links(source: &Source) -> Vec<Finding> {
    if !source.path.ends_with(".md") || !(source.path == "README.md" || source.is_in(&["docs/"])) {
        return Vec::new();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join(&source.path).parent().expect("a file is in a folder").to_owned();
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        for target in targets.map(|(target, _)| target).filter(|it| !it.contains("://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let text = match file {
                "" => Ok(source.text.clone()),
                file => std::fs::read_to_string(folder.join(file)),
            };
            let has_heading =
                |text: String| text.lines().filter_map(anchor).any(|it| it == heading);
            if !text.is_ok_and(|text| heading.is_empty() || has_heading(text)) {
                findings.push(finding(
                    index + 1,
                    format!("{target} is not there: link to what is instead"),
                ));
            }
        }
    }
    findings
}

/// What a link to the heading in this line ends with, as on GitHub.
pub fn anchor(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let keep = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    Some(heading.to_lowercase().chars().filter(keep).collect::<String>().replace(' ', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{fires, keeps_still};

    #[test]
    fn rule_links() {
        let to = |target: &str| format!("# One `A` b\n\n[words]({target}) and more\n");
        for target in ["docs/nowhere.md", "#two", "docs/operation.md", "docs/operations.md#nowhere"]
        {
            fires(links, "README.md", &to(target), 3, "link to what is instead");
        }
        fires(links, "docs/a.md", &to("docs/operations.md"), 3, "link to what is instead");
        for target in ["docs/operations.md#signals", "#one-a-b", "LICENSE", "https://a.test/b"] {
            keeps_still(links, "README.md", &to(target));
        }
        keeps_still(links, "docs/a.md", &to("../README.md#flags"));
        keeps_still(links, "src/a.md", &to("nowhere"));
    }
}
