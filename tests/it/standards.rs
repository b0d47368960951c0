//! The requirements of RFC 7643 and RFC 7644 on resources and writes, tested one by one over HTTP.
//! A comment above each test names the requirements that it covers.

mod model;
mod writes;
