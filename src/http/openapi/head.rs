//! HEAD: whatever GET answers, without the body (RFC 9110 section 9.3.2).

use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, PathItem};

/// Describes a HEAD beside the GET of a path that has none yet.
pub fn beside_get(item: &mut PathItem) {
    if item.head.is_none() {
        item.head = item.get.as_ref().map(head_of);
    }
}

fn head_of(get: &Operation) -> Operation {
    let mut head = get.clone();
    let id = get.operation_id.as_deref().unwrap_or_default();
    head.operation_id = Some(format!("head{}", capitalised(id)));
    head.summary = get
        .summary
        .as_ref()
        .map(|summary| format!("{summary}: headers only"));
    head.description = Some("Answers as GET does, without the body.".to_owned());
    for response in head.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.content.clear();
        }
    }
    head
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}
