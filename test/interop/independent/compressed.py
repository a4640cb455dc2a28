"""Compressed bodies [DL11], with the standard library's zlib; it does not tell where a block ends, so blocks are counted by hand."""

import zlib

from wire import Reader

ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
FIXED = [8] * 144 + [9] * 112 + [7] * 24 + [8] * 8


def decompress(stored, limits):
    """The plain body, or DELTA_MALFORMED."""
    r = Reader(stored, "DELTA_MALFORMED")
    count = r.var_uint()
    if count > limits["bodyBytesMax"] or count <= len(stored):
        r.refuse()
    stream = stored[r.at :]
    inflater = zlib.decompressobj(wbits=-15)
    try:
        plain = inflater.decompress(stream, count + 1)
    except zlib.error:
        r.refuse()
    if len(plain) != count or not inflater.eof or inflater.unused_data:
        r.refuse()
    return plain if count_blocks(stream) <= 1 + count // 1024 else r.refuse()


class Bits:
    def __init__(self, data):
        self.value, self.at = int.from_bytes(data, "little"), 0

    def take(self, count):
        self.at += count
        return self.value >> (self.at - count) & ((1 << count) - 1)

    def symbol(self, codes):
        code, length = 0, 0
        while (length, code) not in codes:
            code, length = code << 1 | self.take(1), length + 1
        return codes[length, code]


def codes_of(lengths):
    """By (length, code), as section 3.2.2 of RFC 1951 gives them out."""
    codes, code = {}, 0
    for length in range(1, 16):
        for symbol, its_length in enumerate(lengths):
            if its_length == length:
                codes[length, code] = symbol
                code += 1
        code <<= 1
    return codes


def own_lengths(bits):
    symbols, distances, count = bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4
    of_lengths = [0] * 19
    for symbol in ORDER[:count]:
        of_lengths[symbol] = bits.take(3)
    codes, lengths = codes_of(of_lengths), []
    while len(lengths) < symbols + distances:
        symbol = bits.symbol(codes)
        if symbol < 16:
            lengths.append(symbol)
        else:
            extra, least = {16: (2, 3), 17: (3, 3), 18: (7, 11)}[symbol]
            lengths += [lengths[-1] if symbol == 16 else 0] * (least + bits.take(extra))
    return lengths[:symbols], lengths[symbols:]


def count_blocks(stream):
    """Of a stream that is known to be sound."""
    bits, blocks, is_last = Bits(stream), 0, False
    while not is_last:
        blocks += 1
        is_last, kind = bits.take(1) == 1, bits.take(2)
        if kind == 0:
            bits.at = (bits.at + 7) // 8 * 8
            bits.at += 8 * bits.take(16) + 16
            continue
        lengths, distances = own_lengths(bits) if kind == 2 else (FIXED, [5] * 32)
        codes, distance_codes = codes_of(lengths), codes_of(distances)
        while (symbol := bits.symbol(codes)) != 256:
            if symbol > 256:
                bits.take(0 if symbol < 265 or symbol == 285 else (symbol - 261) // 4)
                distance = bits.symbol(distance_codes)
                bits.take(0 if distance < 4 else distance // 2 - 1)
    return blocks
