#!/usr/bin/env python3
"""Reads the sidecar of a volume. Written from docs/format.md alone, to show that the page is enough; shares nothing with lib/.

    reader.py SIDECAR [--data FILE] [--blocks FIRST COUNT]

Prints JSON. With --data it also says which blocks match their tags (not for XXH3, which is too long to write down here).
Numbers that may be above 2^53 are strings.
"""

import json
import struct
import sys

SECTOR = 512
SUPERBLOCK = 4096
STATES = ["unknown", "valid", "recalculated", "torn", "bad", "discarded"]
ALGORITHMS = {1: "crc32c", 2: "crc64nvme", 3: "xxh3"}


class FormatError(Exception):
    pass


def crc(data, seed, polynomial, ones):
    """Bit by bit."""
    state = seed ^ ones
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (polynomial if state & 1 else 0)
    return state ^ ones


def crc32c(data, seed=0):
    return crc(data, seed, 0x82F63B78, 0xFFFFFFFF)


def crc64nvme(data, seed=0):
    return crc(data, seed, 0x9A6C9329AC4BC9B5, 0xFFFFFFFFFFFFFFFF)


FUNCTIONS = {"crc32c": crc32c, "crc64nvme": crc64nvme}


def read_at(file, offset, length):
    file.seek(offset)
    return file.read(length)


def copy_state(copy):
    if len(copy) < SUPERBLOCK or copy[0:8] != b"RINGBOLT":
        return "none"
    (header,) = struct.unpack_from("<I", copy, 12)
    if not 256 <= header <= 512:
        return "damaged"
    (found,) = struct.unpack_from("<I", copy, 8)
    return "valid" if found == crc32c(copy[0:8] + copy[12:header]) else "damaged"


def choose(copies):
    """The copy that counts."""
    valid = [copy for copy in copies if copy_state(copy) == "valid"]
    if not valid:
        raise FormatError("no valid superblock")
    by_sequence = {}
    for copy in valid:
        (version,) = struct.unpack_from("<I", copy, 16)
        (incompatible,) = struct.unpack_from("<Q", copy, 40)
        (sequence,) = struct.unpack_from("<Q", copy, 80)
        if version != 1:
            raise FormatError("version %d" % version)
        if incompatible != 0:
            raise FormatError("incompatible features %#x" % incompatible)
        (length,) = struct.unpack_from("<I", copy, 12)
        header = copy[:length]
        if by_sequence.setdefault(sequence, header) != header:
            raise FormatError("two superblocks of sequence %d" % sequence)
    return by_sequence[max(by_sequence)]


def parse_superblock(raw):
    area = lambda at: dict(zip(("offset", "length"), struct.unpack_from("<QQ", raw, at)))
    u64 = lambda at: struct.unpack_from("<Q", raw, at)[0]
    u32 = lambda at: struct.unpack_from("<I", raw, at)[0]
    identity = None
    if raw[22] & 2:
        mtime = struct.unpack_from("<q", raw, 208)[0]
        identity = {"size": u64(192), "inode": str(u64(200)), "mtimeNs": str(mtime)}
    return {
        "version": u32(16),
        "algorithm": ALGORITHMS[raw[20]],
        "neverWritten": {1: "zeros", 2: "unknown"}[raw[21]],
        "clean": bool(raw[22] & 1),
        "compatible": str(u64(24)),
        "readOnlyCompatible": str(u64(32)),
        "incompatible": str(u64(40)),
        "uuid": raw[48:64].hex(),
        "setUuid": raw[64:80].hex(),
        "sequence": u64(80),
        "generationReservation": u64(88),
        "baselineCursor": u64(96),
        "blockCount": u64(104),
        "blockSize": u32(112),
        "lastBlockBytes": u32(116),
        "pagesPerRegion": u32(120),
        "bitmaps": [area(128), area(144)],
        "log": area(160),
        "tags": area(176),
        "identity": identity,
        "ownerNonce": raw[224:240].hex(),
    }


def is_valid_sector(sector, kind, index, part, seed):
    if len(sector) < SECTOR:
        return False
    if sector[8:14] != index.to_bytes(6, "little") or sector[14] != part or sector[15] != kind:
        return False
    return struct.unpack_from("<I", sector, 0)[0] == crc32c(sector[4:], seed)


def dirty_regions(file, superblock, seed):
    pages = -(-superblock["blockCount"] // 248)
    regions = -(-pages // superblock["pagesPerRegion"])
    dirty, invalid = set(), []
    for which, area in enumerate(superblock["bitmaps"]):
        for number in range(-(-regions // 3968)):
            sector = read_at(file, area["offset"] + number * SECTOR, SECTOR)
            valid = is_valid_sector(sector, 0x42, number, which, seed)
            if not valid:
                invalid.append([which, number])
            for i in range(min(3968, regions - number * 3968)):
                if not valid or sector[16 + i // 8] >> (i % 8) & 1:
                    dirty.add(number * 3968 + i)
    return {"regions": regions, "dirty": sorted(dirty), "invalidSectors": invalid}


def never_written(superblock, block):
    if superblock["neverWritten"] == "zeros":
        return {"state": "never written", "means": "zeros"}
    if block < superblock["baselineCursor"]:
        return {"state": "damaged"}
    return {"state": "never written", "means": "unknown"}


class Tags:
    def __init__(self, file, superblock, seed):
        self.file, self.superblock, self.seed = file, superblock, seed
        self.last = None

    def sector(self, page, part):
        """The bytes of a sector, and whether it is valid. Neighbouring blocks ask for the same one."""
        if self.last is None or self.last[0] != (page, part):
            offset = self.superblock["tags"]["offset"] + page * 4096 + part * SECTOR
            raw = read_at(self.file, offset, SECTOR)
            self.last = ((page, part), raw, is_valid_sector(raw, 0x54, page, part, self.seed))
        return self.last[1:]

    def of_block(self, block):
        page, i = divmod(block, 248)
        part, place = divmod(i, 31)
        raw, valid = self.sector(page, part)
        if raw == bytes(SECTOR):
            return never_written(self.superblock, block)
        if not valid:
            return {"state": "damaged"}
        tag = raw[16 + 16 * place : 32 + 16 * place]
        if tag == bytes(16):
            return never_written(self.superblock, block)
        state = STATES[tag[15]] if tag[15] < len(STATES) else str(tag[15])
        checksum = int.from_bytes(tag[0:8], "little")
        generation = int.from_bytes(tag[8:15], "little")
        return {"state": state, "generation": generation, "checksum": "%016x" % checksum}


def matches(tag, block, data, superblock):
    """Whether the data is what its tag says; None if that says nothing."""
    if tag.get("means") == "zeros":
        return not any(data)
    if tag["state"] not in ("valid", "recalculated") or superblock["algorithm"] not in FUNCTIONS:
        return None
    f = FUNCTIONS[superblock["algorithm"]]
    number = f(block.to_bytes(8, "little"), f(bytes.fromhex(superblock["uuid"])))
    return "%016x" % f(data, number) == tag["checksum"]


def read_tags(file, superblock, seed, first, count, data):
    tags = Tags(file, superblock, seed)
    size, last = superblock["blockSize"], superblock["blockCount"] - 1
    for block in range(first, min(first + count, last + 1)):
        tag = tags.of_block(block)
        if data is not None:
            length = superblock["lastBlockBytes"] if block == last else size
            contents = read_at(data, block * size, length)
            tag["matches"] = len(contents) == length and matches(tag, block, contents, superblock)
        yield {"block": block, **tag}


def parse(path, data_path=None, first=0, count=1 << 62):
    with open(path, "rb") as file:
        copies = [read_at(file, at * SUPERBLOCK, SUPERBLOCK) for at in range(4)]
        superblock = parse_superblock(choose(copies))
        seed = crc32c(bytes.fromhex(superblock["uuid"]))
        data = open(data_path, "rb") if data_path else None
        return {
            "copies": [copy_state(copy) for copy in copies],
            "superblock": superblock,
            **dirty_regions(file, superblock, seed),
            "tags": list(read_tags(file, superblock, seed, first, count, data)),
        }


def main(arguments):
    path, rest, options = arguments[0], arguments[1:], {}
    while rest:
        if rest[0] == "--data":
            options["data_path"], rest = rest[1], rest[2:]
        elif rest[0] == "--blocks":
            options.update(first=int(rest[1]), count=int(rest[2]))
            rest = rest[3:]
        else:
            sys.exit(__doc__)
    try:
        print(json.dumps(parse(path, **options)))
    except FormatError as error:
        print(json.dumps({"error": str(error)}))


if __name__ == "__main__":
    main(sys.argv[1:]) if len(sys.argv) > 1 else sys.exit(__doc__)
