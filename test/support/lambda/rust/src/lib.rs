//! A lambda in Rust: the interface of `packages/lambda/SPEC.md`, and a merge that goes field by field.
use serde_json::{Map, Number, Value};

/// Where the host puts the input. It is never freed: an instance lives for one merge.
#[no_mangle]
pub extern "C" fn alloc(bytes: u32) -> u32 {
    let mut room: Vec<u8> = Vec::with_capacity(bytes as usize);
    let place = room.as_mut_ptr() as u32;
    std::mem::forget(room);
    place
}

/// A pointer in the low half, a length in the high one; a length of 0 is a delete.
#[no_mangle]
pub extern "C" fn merge(place: u32, bytes: u32) -> u64 {
    let input = unsafe { std::slice::from_raw_parts(place as *const u8, bytes as usize) };
    let conflict: Value = serde_json::from_slice(input).expect("the host gives JSON");
    let output = match merged(&conflict) {
        Some(value) => serde_json::to_vec(&value).expect("it came from JSON"),
        None => Vec::new(),
    };
    let result = (output.len() as u64) << 32 | output.as_ptr() as u64;
    std::mem::forget(output);
    result
}

/// The newest value of each field, but for numbers, which are added, and lists, which are united.
fn merged(conflict: &Value) -> Option<Value> {
    let siblings = conflict["siblings"].as_array()?;
    let values: Vec<&Map<String, Value>> = siblings.iter().filter_map(|s| s["value"].as_object()).collect();
    if values.is_empty() {
        return None;
    }
    let mut fields = Map::new();
    for value in values {
        for (name, field) in value {
            let next = match fields.remove(name) {
                None => field.clone(),
                Some(newer) => both(newer, field),
            };
            fields.insert(name.clone(), next);
        }
    }
    Some(Value::Object(fields))
}

fn both(newer: Value, older: &Value) -> Value {
    match (newer, older) {
        (Value::Number(a), Value::Number(b)) => {
            let sum = a.as_f64().unwrap_or(0.0) + b.as_f64().unwrap_or(0.0);
            Number::from_f64(sum).map_or(Value::Null, Value::Number)
        }
        (Value::Array(mut a), Value::Array(b)) => {
            for item in b {
                if !a.contains(item) {
                    a.push(item.clone());
                }
            }
            Value::Array(a)
        }
        (newer, _) => newer,
    }
}
