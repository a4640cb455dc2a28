"""Record values [DL9], written again from what was read: bytes that differ are no value."""

import base64
import json
import re
from decimal import Decimal

DEPTH_MAX = 64


class Invalid(Exception):
    pass


def check_value(data):
    """Raises Invalid unless the bytes are the one encoding of a value."""
    try:
        text = data.decode("utf-8")
        parsed = json.loads(text, object_pairs_hook=Pairs, parse_constant=refuse, parse_int=float)
    except (ValueError, RecursionError) as error:
        raise Invalid(str(error))
    if write(parsed, 0) != text:
        raise Invalid("another spelling")


class Pairs(list):
    """The members of an object, in the order in which they stand."""


def refuse(_):
    raise Invalid("no JSON")


def write(value, depth):
    if depth > DEPTH_MAX:
        raise Invalid("too deep")
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str):
        return string(value)
    if isinstance(value, Pairs):
        return write_object(value, depth)
    return "[" + ",".join(write(item, depth + 1) for item in value) + "]"


def write_object(pairs, depth):
    if len(pairs) == 1 and pairs[0][0].startswith("$") and not pairs[0][0].startswith("$$"):
        return write_tagged(pairs[0][0], pairs[0][1], depth)
    members = sorted(pairs, key=lambda pair: utf16(pair[0]))
    if len({key for key, _ in members}) != len(members):
        raise Invalid("a key twice")
    return "{" + ",".join(string(key) + ":" + write(item, depth + 1) for key, item in members) + "}"


def write_tagged(tag, item, depth):
    if tag == "$bytes" and isinstance(item, str):
        try:
            return '{"$bytes":"%s"}' % base64.b64encode(base64.b64decode(item, validate=True)).decode()
        except ValueError:
            raise Invalid("no base64")
    if tag == "$date" and isinstance(item, float) and abs(item) <= 8.64e15:
        return '{"$date":%s}' % number(float(int(item)))
    if tag == "$bigint" and isinstance(item, str) and re.fullmatch(r"0|-?[1-9][0-9]*", item):
        return '{"$bigint":"%s"}' % item
    if tag == "$map" and isinstance(item, list) and not isinstance(item, Pairs):
        if not all(isinstance(pair, list) and not isinstance(pair, Pairs) and len(pair) == 2 for pair in item):
            raise Invalid("no pair")
        written = sorted(((write(k, depth + 1), write(v, depth + 1)) for k, v in item), key=lambda pair: utf16(pair[0]))
        if len({key for key, _ in written}) != len(written):
            raise Invalid("a key twice")
        return '{"$map":[%s]}' % ",".join("[%s,%s]" % pair for pair in written)
    raise Invalid("an unknown tag")


def utf16(text):
    return text.encode("utf-16-be", "surrogatepass")


def string(text):
    if any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        raise Invalid("half of a surrogate pair")
    return json.dumps(text, ensure_ascii=False)


def number(value):
    """As ECMAScript writes a number: the fewest digits that give it back, with an exponent from 1e21 on and below 1e-6."""
    if value in (float("inf"), float("-inf")):
        raise Invalid("out of range")
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    point = len(text) + exponent
    if 0 < point <= 21:
        out = text.ljust(point, "0") if len(text) <= point else text[:point] + "." + text[point:]
    elif -6 < point <= 0:
        out = "0." + "0" * -point + text
    else:
        out = text[0] + ("." + text[1:] if len(text) > 1 else "") + "e%+d" % (point - 1)
    return ("-" if sign else "") + out
