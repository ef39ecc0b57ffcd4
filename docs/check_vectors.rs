// Checks a loss written in Rust against test vectors: rustc -O check_vectors.rs -o check && ./check FILE.json...
use std::{env, fs, process};

fn loss(x: f64, z: f64) -> f64 { // put your own here
    let w = (x >= 0.0) as u8 as f64 - z;
    (if w == 0.0 { 0.0 } else { x * w }) + (-x.abs()).exp().ln_1p()
}
fn gradient(x: f64, z: f64) -> f64 { // its derivative in x
    let e = (-x.abs()).exp();
    let small = e / (1.0 + e);
    if x >= 0.0 { 1.0 - z - small } else { small - z }
}
fn loss_f32(x: f32, z: f32) -> f32 { // and here: f32
    let w = (x >= 0.0) as u8 as f32 - z;
    (if w == 0.0 { 0.0 } else { x * w }) + (-x.abs()).exp().ln_1p()
}
fn gradient_f32(x: f32, z: f32) -> f32 {
    let e = (-x.abs()).exp();
    let small = e / (1.0 + e);
    if x >= 0.0 { 1.0 - z - small } else { small - z }
}
fn field(line: &str, name: &str) -> Option<f64> { // from the bits: Rust reads no hexadecimal floats
    let digits = line.split_once(&format!("\"{name}_bits\": \"0x"))?.1.split('"').next()?;
    let bits = u64::from_str_radix(digits, 16).ok()?;
    Some(if digits.len() == 8 { f32::from_bits(bits as u32) as f64 } else { f64::from_bits(bits) })
}
fn ulps(got: f64, right: f64, scale: f64, single: bool) -> f64 {
    if got == right || (got.is_nan() && right.is_nan()) { return 0.0; }
    let least = if single { f32::MIN_POSITIVE as f64 } else { f64::MIN_POSITIVE };
    let power = f64::from_bits(scale.max(least).to_bits() & (0x7ff << 52)); // its power of two
    let error = (got - right).abs() / power / if single { f32::EPSILON as f64 } else { f64::EPSILON };
    if error.is_finite() { error } else { f64::INFINITY } // where infinities or NaN take part
}
fn check(line: &str, single: bool) -> Option<f64> {
    let (x, z) = (field(line, "logits")?, field(line, "labels")?);
    let (value, slope) = if single {
        (loss_f32(x as f32, z as f32) as f64, gradient_f32(x as f32, z as f32) as f64)
    } else { (loss(x, z), gradient(x, z)) };
    let value = ulps(value, field(line, "value")?, field(line, "value_scale")?, single);
    let slope = ulps(slope, field(line, "gradient")?, field(line, "gradient_scale")?, single);
    if value.max(slope) > 4.0 { println!("value {value} ULP, gradient {slope} ULP: {line:.90}..."); }
    Some(value.max(slope))
}
fn fail(message: String) -> ! { eprintln!("{message}"); process::exit(2) }
fn main() {
    let (files, mut worst): (Vec<String>, f64) = (env::args().skip(1).collect(), 0.0);
    if files.is_empty() { fail("usage: check FILE.json...".into()) }
    for file in &files {
        let text = fs::read_to_string(file).unwrap_or_else(|error| fail(format!("{file}: {error}")));
        let single = text.contains("\"dtype\": \"float32\"");
        let errors: Vec<f64> = text.lines().filter_map(|line| check(line, single)).collect(); // one vector per line
        if errors.is_empty() { fail(format!("{file}: no vectors of a loss")) }
        let largest = errors.iter().fold(0.0, |a: f64, b| a.max(*b));
        println!("{file}: {} vectors, largest error {largest:.2} ULP", errors.len());
        worst = worst.max(largest);
    }
    process::exit((worst > 4.0) as i32)
}
