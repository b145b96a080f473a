//! scratch
#![allow(
    clippy::all,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]
use blackbox_exporter::check::{Regexp, Template};
use std::io::{BufRead, Write};
fn unhex(s: &str) -> Vec<u8> {
    (0..s.len() / 2)
        .map(|i| u8::from_str_radix(&s[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}
fn hex(b: &[u8]) -> String {
    b.iter().map(|b| format!("{b:02x}")).collect()
}
fn main() {
    let out = std::io::stdout();
    let mut out = std::io::BufWriter::new(out.lock());
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let mut f = line.split(' ');
        let pat = String::from_utf8(unhex(f.next().unwrap())).unwrap();
        let tpl = unhex(f.next().unwrap());
        let texts: Vec<Vec<u8>> = f.map(unhex).collect();
        match Regexp::new(&pat) {
            Err(e) => writeln!(out, "E {}", hex(e.to_string().as_bytes())).unwrap(),
            Ok(re) => {
                let t = Template::new(&tpl, &re);
                write!(out, "O").unwrap();
                for text in &texts {
                    let m = re.is_match(text);
                    match re.captures(text) {
                        None => write!(out, " {m}:-").unwrap(),
                        Some(c) => {
                            write!(out, " {m}:").unwrap();
                            for i in 0..c.len() {
                                match c.group(i) {
                                    None => write!(out, "-,").unwrap(),
                                    Some(g) => {
                                        let at = g.as_ptr() as usize - text.as_ptr() as usize;
                                        write!(out, "{}-{},", at, at + g.len()).unwrap()
                                    }
                                }
                            }
                            write!(out, "|{}", hex(&t.expand(Some(&c)))).unwrap();
                        }
                    }
                }
                writeln!(out).unwrap();
            }
        }
    }
}
