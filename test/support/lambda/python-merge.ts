/** The same as the one in JavaScript, as far as the languages agree. */
export const PYTHON_MERGE = `
import math

def is_number(x):
    return isinstance(x, (int, float)) and not isinstance(x, bool)

def both(newer, older):
    if is_number(newer) and is_number(older):
        return newer + older
    if isinstance(newer, str) and isinstance(older, str):
        return newer if len(newer) >= len(older) else older
    if isinstance(newer, list) and isinstance(older, list):
        return newer + [item for item in older if item not in newer]
    return newer

def merge(conflict):
    values = [s["value"] for s in conflict["siblings"] if not s.get("deleted")]
    if not values:
        return DELETED
    merged = {}
    for value in values:
        for name in value:
            merged[name] = both(merged[name], value[name]) if name in merged else value[name]
    x = merged["x"] if is_number(merged.get("x")) else 0.1
    merged["math"] = [math.sin(x), math.exp(x % 50), math.tan(x), 10.0 ** (x % 20)]
    return merged
`;
