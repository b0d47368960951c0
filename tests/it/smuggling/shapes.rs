//! The table of raw requests, each with what the server does if it gets it directly.

/// What the server does.
#[derive(Debug, Clone, Copy)]
pub enum Outcome {
    /// Answers with these statuses, and goes on with the connection.
    Open(&'static [u16]),
    /// Answers with these statuses, and takes no further request.
    Closed(&'static [u16]),
    /// Answers with these statuses. Whether it goes on depends on how fast it answered.
    Either(&'static [u16]),
    /// Answers 400 or not at all, and takes no further request.
    Rejected,
    /// Answers with this status, and perhaps 400, or closes before it answers: it finds what is no
    /// request behind one that is.
    Garbage(u16),
    /// The request has no end, and the client gives up.
    Incomplete,
}

use Outcome::{Closed, Either, Garbage, Incomplete, Open, Rejected};

/// One row of the table.
pub struct Shape {
    pub name: &'static str,
    pub outcome: Outcome,
    text: &'static str,
}

const fn shape(name: &'static str, outcome: Outcome, text: &'static str) -> Shape {
    Shape {
        name,
        outcome,
        text,
    }
}

impl Shape {
    /// Whether the server may run the request without an answer.
    pub fn may_be_silent(&self) -> bool {
        matches!(self.outcome, Rejected | Garbage(_) | Incomplete)
    }

    /// Replaces the names in braces. `a` and `b` are the headers of the first and the second
    /// request, `next` is a whole second request, and `evil` one that no shape may run.
    pub fn request(&self, id: &str, token: &str) -> String {
        let user = |name: &str| {
            let schema = "urn:ietf:params:scim:schemas:core:2.0:User";
            format!(r#"{{"schemas":["{schema}"],"userName":"{name}-{id}"}}"#)
        };
        let headers = |which: &str| {
            format!("Host: x\r\nAuthorization: Bearer {token}\r\nX-Request-Id: {id}-{which}\r\n")
        };
        let (good, bad) = (user("ok"), user("smuggled"));
        let evil = format!(
            "POST /scim/v2/Users HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n{bad}",
            headers("e"),
            bad.len()
        );
        let next = format!(
            "GET /scim/v2/Users?count=0 HTTP/1.1\r\n{}\r\n",
            headers("b")
        );
        let chunk = format!("{:x}\r\n{good}\r\n", good.len());
        let many: String = (0..120).map(|n| format!("X-{n}: x\r\n")).collect();
        let values = [
            ("{post}", "POST /scim/v2/Users HTTP/1.1\r\n{a}".to_owned()),
            (
                "{get}",
                "GET /scim/v2/Users?count=0 HTTP/1.1\r\n{a}".to_owned(),
            ),
            ("{te}", "Transfer-Encoding: chunked\r\n\r\n".to_owned()),
            ("{chunk}", chunk),
            ("{next}", next.clone()),
            ("{next40}", next.repeat(40)),
            ("{a}", headers("a")),
            ("{b}", headers("b")),
            ("{evil}", evil.clone()),
            ("{evil_length}", evil.len().to_string()),
            ("{evil_chunk}", format!("{:x}\r\n{evil}\r\n", evil.len())),
            ("{user}", good.clone()),
            ("{length}", good.len().to_string()),
            ("{longer}", (good.len() + 10).to_string()),
            ("{hex}", format!("{:x}", good.len())),
            ("{5000}", "x".repeat(5000)),
            ("{120 headers}", many),
            // What the server reads of a head, to the byte: it rejects the head with nothing left.
            ("{128 KiB}", "x".repeat(128 * 1024)),
        ];
        let replace = |text: String, (name, value): &(&str, String)| text.replace(name, value);
        values.iter().fold(self.text.to_owned(), replace)
    }
}

/// The table. Only a request that a shape sends in full, in a valid form, is run.
pub const SHAPES: &[Shape] = &[
    // Valid requests.
    shape("a GET", Open(&[200]), "{get}\r\n"),
    shape("two GETs", Open(&[200, 200]), "{get}\r\n{next}"),
    shape(
        "a POST",
        Open(&[201]),
        "{post}Content-Length: {length}\r\n\r\n{user}",
    ),
    shape(
        "a POST and a GET",
        Open(&[201, 200]),
        "{post}Content-Length: {length}\r\n\r\n{user}{next}",
    ),
    shape(
        "a length of zero, and a GET",
        Open(&[400, 200]),
        "{post}Content-Length: 0\r\n\r\n{next}",
    ),
    shape("no body, and a GET", Open(&[400, 200]), "{post}\r\n{next}"),
    shape(
        "a HEAD",
        Open(&[200]),
        "HEAD /scim/v2/Users?count=0 HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "empty lines before a request",
        Open(&[200]),
        "\r\n\r\n{get}\r\n",
    ),
    shape(
        "a name in capitals",
        Open(&[201]),
        "{post}CONTENT-LENGTH: {length}\r\n\r\n{user}",
    ),
    shape(
        "spaces around a length",
        Open(&[201]),
        "{post}Content-Length: \t {length} \t\r\n\r\n{user}",
    ),
    shape(
        "bytes beyond ASCII in a value",
        Open(&[200]),
        "{get}X-Name: \u{e9}\r\n\r\n",
    ),
    shape(
        "HTTP/1.0",
        Closed(&[200]),
        "GET /scim/v2/Users?count=0 HTTP/1.0\r\n{a}\r\n",
    ),
    shape(
        "HTTP/1.0 kept alive",
        Open(&[200, 200]),
        "GET /scim/v2/Users?count=0 HTTP/1.0\r\n{a}Connection: keep-alive\r\n\r\n{next}",
    ),
    shape(
        "HTTP/1.0, and a GET",
        Closed(&[200]),
        "GET /scim/v2/Users?count=0 HTTP/1.0\r\n{a}\r\n{next}",
    ),
    shape(
        "a GET that closes, and a GET",
        Closed(&[200]),
        "{get}Connection: close\r\n\r\n{next}",
    ),
    // Chunked bodies: nothing behind them is a request.
    shape("chunked", Closed(&[201]), "{post}{te}{chunk}0\r\n\r\n"),
    shape(
        "chunked in capitals",
        Closed(&[201]),
        "{post}TRANSFER-ENCODING: CHUNKED\r\n\r\n{chunk}0\r\n\r\n",
    ),
    shape(
        "chunked behind spaces",
        Closed(&[201]),
        "{post}Transfer-Encoding: \t chunked \r\n\r\n{chunk}0\r\n\r\n",
    ),
    shape(
        "chunked, and a GET",
        Closed(&[201]),
        "{post}{te}{chunk}0\r\n\r\n{next}",
    ),
    shape(
        "chunked, and a POST",
        Closed(&[201]),
        "{post}{te}{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "chunked, and forty GETs",
        Closed(&[201]),
        "{post}{te}{chunk}0\r\n\r\n{next40}",
    ),
    shape(
        "chunked, and a GET that expects",
        Closed(&[201]),
        "{post}{te}{chunk}0\r\n\r\nGET /scim/v2/Users?count=0 HTTP/1.1\r\n{b}Content-Length: 1\r\nExpect: 100-continue\r\n\r\n",
    ),
    shape(
        "chunked, and garbage",
        Garbage(201),
        "{post}{te}{chunk}0\r\n\r\nGARBAGE\r\n\r\n",
    ),
    shape(
        "a chunked GET, and a POST",
        Closed(&[200]),
        "{get}{te}0\r\n\r\n{evil}",
    ),
    shape(
        "a body in two chunks",
        Closed(&[400]),
        "{post}{te}1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    ),
    shape(
        "leading zeros in a size",
        Closed(&[201]),
        "{post}{te}000000{chunk}0000\r\n\r\n",
    ),
    shape(
        "spaces behind a size",
        Closed(&[201]),
        "{post}{te}{hex} \t\r\n{user}\r\n0\r\n\r\n",
    ),
    shape(
        "a chunk extension",
        Closed(&[201]),
        "{post}{te}{hex};a=b;c\r\n{user}\r\n0\r\n\r\n",
    ),
    shape(
        "a quoted chunk extension",
        Closed(&[201]),
        "{post}{te}{hex};a=\"0;b\"\r\n{user}\r\n0\r\n\r\n",
    ),
    shape(
        "an extension of the last chunk",
        Closed(&[201]),
        "{post}{te}{chunk}0;a=b\r\n\r\n{evil}",
    ),
    shape(
        "a trailer",
        Closed(&[201]),
        "{post}{te}{chunk}0\r\nX-Sum: 1\r\n\r\n",
    ),
    shape(
        "a length in the trailer",
        Closed(&[201]),
        "{post}{te}{chunk}0\r\nContent-Length: 500\r\n\r\n{evil}",
    ),
    shape(
        "an encoding in the trailer",
        Closed(&[201]),
        "{post}{te}{chunk}0\r\nTransfer-Encoding: chunked\r\n\r\n{evil}",
    ),
    // CVE-2026-134342: the head of the second request is taken for a trailer.
    shape(
        "0 CR LF LF",
        Closed(&[201]),
        "{post}{te}{chunk}0\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF LF on a GET",
        Closed(&[200]),
        "{get}{te}0\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF LF without a token",
        Closed(&[401]),
        "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nX-Request-Id: none\r\n{te}{chunk}0\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF LF on an unknown path",
        Closed(&[404]),
        "POST /nothing HTTP/1.1\r\n{a}{te}{chunk}0\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF LF with a wrong method",
        Closed(&[405]),
        "DELETE /scim/v2/Users HTTP/1.1\r\n{a}{te}{chunk}0\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF LF with a wrong type",
        Closed(&[415]),
        "{post}Content-Type: text/plain\r\n{te}{chunk}0\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF LF with a faulty body",
        Closed(&[400]),
        "{post}{te}1\r\n{\r\n0\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF LF behind too large a body",
        Closed(&[413]),
        "{post}{te}1388\r\n{5000}\r\n0\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF LF on a public path",
        Closed(&[200]),
        "GET /healthz HTTP/1.1\r\n{a}{te}0\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF LF on a page",
        Closed(&[308]),
        "GET /docs HTTP/1.1\r\n{a}{te}0\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF LF for an administrator",
        Closed(&[200]),
        "GET /admin/v1/tokens HTTP/1.1\r\n{a}{te}0\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF LF on the directory",
        Closed(&[200]),
        "GET /directory/v1/users?prefix=x HTTP/1.1\r\n{a}{te}0\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF LF on a bulk",
        Closed(&[400]),
        "POST /scim/v2/Bulk HTTP/1.1\r\n{a}{te}2\r\n{}\r\n0\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF LF without content",
        Closed(&[404]),
        "DELETE /scim/v2/Users/x HTTP/1.1\r\n{a}{te}0\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF LF that expects",
        Closed(&[201]),
        "{post}Expect: 100-continue\r\n{te}{chunk}0\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF LF behind an extension",
        Closed(&[201]),
        "{post}{te}{chunk}0;a\r\n\nGET / HTTP/1.1\r\n{b}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "0 CR LF, one byte, CR LF",
        Closed(&[201]),
        "{post}{te}{chunk}0\r\nX\r\n\r\n{evil}",
    ),
    // Chunks that are no chunks.
    shape(
        "a size with LF",
        Rejected,
        "{post}{te}{hex}\n{user}\r\n0\r\n\r\n{evil}",
    ),
    shape(
        "a size with CR",
        Rejected,
        "{post}{te}{hex}\r{user}\r\n0\r\n\r\n{evil}",
    ),
    shape(
        "data with LF",
        Rejected,
        "{post}{te}{hex}\r\n{user}\n0\r\n\r\n{evil}",
    ),
    shape("0 LF LF", Rejected, "{post}{te}{chunk}0\n\n{evil}"),
    shape("0 LF CR LF", Rejected, "{post}{te}{chunk}0\n\r\n{evil}"),
    shape(
        "an empty size",
        Rejected,
        "{post}{te}\r\n{user}\r\n0\r\n\r\n{evil}",
    ),
    shape(
        "a space before a size",
        Rejected,
        "{post}{te} {chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "a size with a prefix",
        Rejected,
        "{post}{te}0x{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "a positive size",
        Rejected,
        "{post}{te}+{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "a negative size",
        Rejected,
        "{post}{te}-1\r\n{user}\r\n0\r\n\r\n{evil}",
    ),
    shape(
        "a size with a point",
        Rejected,
        "{post}{te}1.0\r\n{user}\r\n0\r\n\r\n{evil}",
    ),
    shape(
        "a size beyond 64 bits",
        Rejected,
        "{post}{te}10000000000000001\r\n{user}\r\n0\r\n\r\n{evil}",
    ),
    shape(
        "a size of 64 bits",
        Incomplete,
        "{post}{te}ffffffffffffffff\r\n{user}\r\n0\r\n\r\n",
    ),
    shape(
        "more data than its size",
        Rejected,
        "{post}{te}{hex}\r\n{user}xx\r\n0\r\n\r\n{evil}",
    ),
    shape(
        "less data than its size",
        Rejected,
        "{post}{te}1{hex}\r\n{user}\r\n0\r\n\r\n{evil}{5000}",
    ),
    shape(
        "LF in an extension",
        Rejected,
        "{post}{te}{hex};a\n{user}\r\n0\r\n\r\n{evil}",
    ),
    shape(
        "NUL in an extension",
        Rejected,
        "{post}{te}{hex};\0\r\n{user}\r\n0\r\n\r\n{evil}",
    ),
    shape("no last chunk", Incomplete, "{post}{te}{chunk}"),
    shape(
        "no end of the trailer",
        Incomplete,
        "{post}{te}{chunk}0\r\nX-Sum: 1\r\n",
    ),
    // Two framings at once.
    shape(
        "a length and chunked",
        Closed(&[400]),
        "{post}Content-Length: {evil_length}\r\n{te}0\r\n\r\n{evil}",
    ),
    shape(
        "chunked and a length",
        Closed(&[400]),
        "{post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{evil}",
    ),
    shape(
        "a length of zero and chunked",
        Closed(&[400]),
        "{post}Content-Length: 0\r\n{te}{evil_chunk}0\r\n\r\n",
    ),
    shape(
        "two lengths",
        Closed(&[400]),
        "{post}Content-Length: 2\r\nContent-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "two equal lengths",
        Closed(&[400]),
        "{post}Content-Length: {length}\r\nContent-Length: {length}\r\n\r\n{user}",
    ),
    shape(
        "a list of lengths",
        Closed(&[400]),
        "{post}Content-Length: {length}, {length}\r\n\r\n{user}",
    ),
    shape(
        "two encodings",
        Closed(&[400]),
        "{post}Transfer-Encoding: chunked\r\n{te}{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "another encoding, and chunked",
        Closed(&[400]),
        "{post}Transfer-Encoding: gzip, chunked\r\n\r\n{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "chunked twice",
        Closed(&[400]),
        "{post}Transfer-Encoding: chunked, chunked\r\n\r\n{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "chunked, and identity",
        Closed(&[400]),
        "{post}Transfer-Encoding: chunked, identity\r\n\r\n{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "identity",
        Closed(&[400]),
        "{post}Transfer-Encoding: identity\r\nContent-Length: {length}\r\n\r\n{user}",
    ),
    shape(
        "xchunked",
        Closed(&[400]),
        "{post}Transfer-Encoding: xchunked\r\n\r\n{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "quoted chunked",
        Closed(&[400]),
        "{post}Transfer-Encoding: \"chunked\"\r\n\r\n{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "no encoding",
        Closed(&[400]),
        "{post}Transfer-Encoding:\r\n\r\n{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "chunked behind a vertical tab",
        Closed(&[400]),
        "{post}Transfer-Encoding: \u{b}chunked\r\n\r\n{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "chunked behind NUL",
        Closed(&[400]),
        "{post}Transfer-Encoding: \0chunked\r\n\r\n{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "chunked in HTTP/1.0",
        Closed(&[400]),
        "POST /scim/v2/Users HTTP/1.0\r\n{a}{te}{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "no length in HTTP/1.0",
        Closed(&[400]),
        "POST /scim/v2/Users HTTP/1.0\r\n{a}\r\n{evil}",
    ),
    shape(
        "another name for the encoding",
        Open(&[201]),
        "{post}Transfer_Encoding: chunked\r\nContent-Length: {length}\r\n\r\n{user}",
    ),
    shape(
        "an encoding that Connection names",
        Closed(&[201]),
        "{post}Connection: Transfer-Encoding\r\n{te}{chunk}0\r\n\r\n{evil}",
    ),
    // Lengths that are no lengths.
    shape(
        "a positive length",
        Closed(&[400]),
        "{post}Content-Length: +{length}\r\n\r\n{user}",
    ),
    shape(
        "a negative length",
        Closed(&[400]),
        "{post}Content-Length: -1\r\n\r\n{user}",
    ),
    shape(
        "a hexadecimal length",
        Closed(&[400]),
        "{post}Content-Length: 0x10\r\n\r\n{user}",
    ),
    shape(
        "an empty length",
        Closed(&[400]),
        "{post}Content-Length:\r\n\r\n{evil}",
    ),
    shape(
        "a length of two words",
        Closed(&[400]),
        "{post}Content-Length: {length} 0\r\n\r\n{user}",
    ),
    shape(
        "a length beyond 64 bits",
        Closed(&[400]),
        "{post}Content-Length: 18446744073709551617\r\n\r\n{evil}",
    ),
    shape(
        "a length with a point",
        Closed(&[400]),
        "{post}Content-Length: 1.0\r\n\r\n{evil}",
    ),
    shape(
        "leading zeros in a length",
        Open(&[201]),
        "{post}Content-Length: 000{length}\r\n\r\n{user}",
    ),
    shape(
        "a body beyond the limit",
        Closed(&[413]),
        "{post}Content-Length: 5000\r\n\r\n{5000}",
    ),
    shape(
        "a length beyond the limit",
        Closed(&[413]),
        "{post}Content-Length: 18446744073709551615\r\n\r\n{evil}",
    ),
    shape(
        "more body than its length",
        Garbage(201),
        "{post}Content-Length: {length}\r\n\r\n{user}}}\r\n\r\n",
    ),
    shape(
        "less body than its length",
        Incomplete,
        "{post}Content-Length: {longer}\r\n\r\n{user}",
    ),
    shape(
        "a request in the body of a GET",
        Either(&[200]),
        "{get}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "a request in the body of a POST",
        Either(&[400]),
        "{post}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "a request in the body of a DELETE",
        Either(&[404]),
        "DELETE /scim/v2/Users/x HTTP/1.1\r\n{a}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "a request in the body of an unknown path",
        Either(&[404]),
        "POST /nothing HTTP/1.1\r\n{a}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    shape(
        "a request in the body of an unknown method",
        Either(&[405]),
        "BREW /scim/v2/Users HTTP/1.1\r\n{a}Content-Length: {evil_length}\r\n\r\n{evil}",
    ),
    // Lines and names.
    shape(
        "lines that end in LF",
        Open(&[200]),
        "GET /healthz HTTP/1.1\nHost: x\nX-Request-Id: none\n\n",
    ),
    shape(
        "a space before a colon",
        Closed(&[400]),
        "{post}Transfer-Encoding : chunked\r\n\r\n{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "a tab before a colon",
        Closed(&[400]),
        "{post}Content-Length\t: {length}\r\n\r\n{user}",
    ),
    shape(
        "a space before the first header",
        Closed(&[400]),
        "POST /scim/v2/Users HTTP/1.1\r\n Transfer-Encoding: chunked\r\n{a}\r\n{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "a folded value",
        Closed(&[400]),
        "{post}Transfer-Encoding:\r\n chunked\r\n\r\n{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "a folded header",
        Closed(&[400]),
        "{post}X-A: b\r\n\tTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n{evil}",
    ),
    shape(
        "CR in a value",
        Closed(&[400]),
        "{get}X-A: b\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{evil}",
    ),
    shape("NUL in a value", Closed(&[400]), "{get}X-A: \0\r\n\r\n"),
    shape("NUL in a name", Closed(&[400]), "{get}X-\0A: b\r\n\r\n"),
    shape(
        "a name beyond ASCII",
        Closed(&[400]),
        "{get}X-\u{e9}: b\r\n\r\n",
    ),
    shape("no name", Closed(&[400]), "{get}: b\r\n\r\n"),
    shape(
        "no colon",
        Closed(&[400]),
        "{get}Transfer-Encoding chunked\r\n\r\n",
    ),
    shape(
        "no Host",
        Closed(&[400]),
        "GET /healthz HTTP/1.1\r\nX-Request-Id: none\r\n\r\n{evil}",
    ),
    shape("two Hosts", Closed(&[400]), "{get}Host: y\r\n\r\n{evil}"),
    shape("120 headers", Closed(&[431]), "{get}{120 headers}\r\n"),
    shape("a head of 128 KiB", Closed(&[431]), "{get}X-A: {128 KiB}"),
    shape("half a head", Incomplete, "{get}X-A: b\r\n"),
    shape("half a request line", Incomplete, "GET /scim/v2/Us"),
    // Request lines.
    shape(
        "an absolute target",
        Open(&[200]),
        "GET http://x/scim/v2/Users?count=0 HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "the target of another host",
        Open(&[200]),
        "GET http://y/scim/v2/Users?count=0 HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "an absolute target without a path",
        Open(&[404]),
        "GET http://x HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "a target with CRLF encoded",
        Open(&[404]),
        "GET /scim/v2/Users/x%0d%0aTransfer-Encoding:%20chunked HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "a slash encoded",
        Open(&[404]),
        "GET /scim/v2%2FUsers HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "a slash encoded in an id",
        Open(&[404]),
        "GET /scim/v2/Users/a%2F..%2Fb HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "a path upwards",
        Open(&[404]),
        "GET /scim/v2/../../admin/v1/tokens HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "a path upwards, encoded",
        Open(&[404]),
        "GET /scim/v2/%2e%2e/%2e%2e/admin/v1/tokens HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "NUL encoded in a path",
        Open(&[400]),
        "GET /scim/v2/Users/%00 HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "NUL in a path",
        Closed(&[400]),
        "GET /scim/v2/Users/\0 HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "a space in a path",
        Closed(&[400]),
        "GET /scim/v2/Users/a b HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "a path without a slash",
        Closed(&[400]),
        "GET ?a HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "two spaces",
        Closed(&[400]),
        "GET  /scim/v2/Users HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "a tab",
        Closed(&[400]),
        "GET\t/scim/v2/Users HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "a space behind the version",
        Closed(&[400]),
        "GET /scim/v2/Users HTTP/1.1 \r\n{a}\r\n",
    ),
    shape(
        "a method in small letters",
        Open(&[405]),
        "get /scim/v2/Users HTTP/1.1\r\n{a}\r\n",
    ),
    shape(
        "a method that is no word",
        Closed(&[400]),
        "G(T /scim/v2/Users HTTP/1.1\r\n{a}\r\n",
    ),
    shape("an asterisk", Open(&[404]), "OPTIONS * HTTP/1.1\r\n{a}\r\n"),
    shape(
        "CONNECT",
        Closed(&[404]),
        "CONNECT x:443 HTTP/1.1\r\n{a}\r\n{evil}",
    ),
    shape(
        "TRACE",
        Open(&[405]),
        "TRACE /scim/v2/Users HTTP/1.1\r\n{a}\r\n",
    ),
    shape("garbage", Closed(&[400]), "GARBAGE\r\n\r\n{evil}"),
    shape(
        "a TLS client",
        Closed(&[400]),
        "\u{16}\u{3}\u{1}\0\u{5}\u{1}\0\0\u{1}\r\n\r\n",
    ),
    // Versions and upgrades.
    shape("HTTP/0.9", Closed(&[400]), "GET /scim/v2/Users\r\n\r\n"),
    shape(
        "HTTP/1.2",
        Closed(&[400]),
        "GET /scim/v2/Users HTTP/1.2\r\n{a}\r\n{evil}",
    ),
    shape(
        "HTTP/2.0",
        Closed(&[400]),
        "GET /scim/v2/Users HTTP/2.0\r\n{a}\r\n{evil}",
    ),
    shape(
        "HTTP/2 with prior knowledge",
        Closed(&[400]),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{evil}",
    ),
    shape(
        "http/1.1",
        Closed(&[400]),
        "GET /scim/v2/Users http/1.1\r\n{a}\r\n{evil}",
    ),
    shape(
        "an upgrade to HTTP/2",
        Garbage(200),
        "{get}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{evil}",
    ),
    shape(
        "an upgrade to a web socket",
        Closed(&[200]),
        "{get}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n{evil}",
    ),
    shape(
        "half an upgrade to a web socket",
        Closed(&[200]),
        "{get}Upgrade: websocket\r\n\r\n{evil}",
    ),
    shape(
        "a web socket with a length",
        Closed(&[200]),
        "{get}Upgrade: websocket\r\nContent-Length: 0\r\n\r\n{evil}",
    ),
    shape(
        "a chunked web socket",
        Closed(&[201]),
        "{post}Connection: Upgrade\r\nUpgrade: websocket\r\n{te}{chunk}0\r\n\r\n{evil}",
    ),
    // Expectations.
    shape(
        "expects 100",
        Open(&[201]),
        "{post}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n{user}",
    ),
    shape(
        "expects 100 without a body",
        Open(&[200]),
        "{get}Expect: 100-continue\r\n\r\n",
    ),
    shape(
        "expects 100, and a GET",
        Open(&[201, 200]),
        "{post}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n{user}{next}",
    ),
    shape(
        "expects 100 in HTTP/1.0",
        Closed(&[201]),
        "POST /scim/v2/Users HTTP/1.0\r\n{a}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n{user}",
    ),
    shape(
        "expects something else",
        Open(&[201]),
        "{post}Expect: a-miracle\r\nContent-Length: {length}\r\n\r\n{user}",
    ),
];
