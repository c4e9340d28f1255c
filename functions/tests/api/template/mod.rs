//! The deployment's template, `template.yaml`, held against the code: which function API Gateway sends a path to, and what
//! each function may do to the table.

mod paths;
mod rights;

use std::path::Path;

/// The template's text.
fn template() -> String {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    std::fs::read_to_string(template).expect("the template")
}

/// The lines of a resource of the template, without comments.
fn resource(name: &str) -> Vec<String> {
    let template = template();
    let begins = format!("  {name}:");
    let lines = template.lines().skip_while(|line| *line != begins).skip(1);
    let lines: Vec<_> = lines
        .take_while(|line| line.is_empty() || line.starts_with("   ") || line.starts_with("  #"))
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(str::to_owned)
        .collect();
    assert!(!lines.is_empty(), "the template has no resource {name}");
    lines
}
