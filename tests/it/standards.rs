//! The requirements of RFC 7643 and RFC 7644 on resources and their writes, asked for one by one over HTTP. Each test names in a
//! comment above it those that it shows.

mod model;
mod writes;
