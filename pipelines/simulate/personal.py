"""Make up personal data that is formally right and belongs to no one.

Domains, most phone numbers and all addresses are of ranges set aside for examples or for infrastructure; bank codes
are of no bank; check digits are right.
"""

from __future__ import annotations

from pipelines.simulate.grammar import handle

PHONES = (  # North America, Britain, France, Germany, Sweden, Australia: set aside for fiction; then examples
    *("+1 212-555-01##", "+1 (415) 555-01##", "+1 303 555 01##", "+44 20 7946 0###", "+33 1 99 00 ## ##"),
    *("+49 30 23125 ###", "+46 70 174 06 1#", "+61 491 570 1##", "+34 612 34 5# ##", "+55 11 96123-4###"),
    *("+351 912 345 ###", "+7 912 345-6#-##", "+380 50 123 4###", "+90 501 234 5# ##", "+62 812-345-###"),
    *("+966 51 234 5###", "+20 10 0123 4###", "+91 81234 56###", "+86 131 2345 6###", "+81 90-1234-5###"),
    "+82 10-2000-0###",
)
CARD_PREFIXES = ("411111111", "400000002", "555555555", "510510510", "424242424")
ACCOUNTS = (
    ("DE", "00000000", 10),
    ("GB", "TEST", 14),
    ("NL", "TEST", 10),
    ("FR", "0000000000", 13),
    ("AT", "00000", 11),
)
NETWORKS = ("192.88.99", "192.31.196", "192.52.193", "192.175.48")  # assigned to protocols, never to a person
MAIL_SITES = ("example.com", "example.org", "example.net", "mail.example.com", "post.example.org")
KINDS = ("email", "phone", "card", "iban", "ip", "national_id", "email", "phone")


def personal(bits: int) -> tuple[str, str]:
    """Return (kind, value) of one piece of data from 64 bits; kinds are those of schemas.columns.PII_SPAN."""
    kind = KINDS[bits & 7]
    return kind, _MAKERS[kind](bits >> 3)


def decoy(bits: int) -> str:
    """Return text that looks like personal data and is none, from 64 bits: wrong check digits, private networks, ..."""
    kind, bits = bits & 7, bits >> 3
    if kind < 2:
        digits = card(bits).replace(" ", "")
        return f"order {digits[:-1]}{(int(digits[-1]) + 1 + (bits >> 50) % 9) % 10}"
    if kind < 4:
        return f"{('192.0.2', '198.51.100', '10.0.0', '192.168.1')[bits & 3]}.{(bits >> 2) % 254 + 1}"
    if kind == 4:
        account = iban(bits)
        return f"ref {account[:2]}{(int(account[2:4]) + 1) % 97 + 2:02d}{account[4:]}"
    if kind == 5:
        return f"v{bits % 9 + 1}.{(bits >> 8) % 30}.{(bits >> 16) % 100}.{(bits >> 24) % 10}"
    if kind == 6:
        day = f"20{bits % 30 + 10}-0{(bits >> 8) % 9 + 1}-{(bits >> 16) % 18 + 10}"
        return f"{day} 1{(bits >> 24) % 10}:{(bits >> 32) % 50 + 10}"
    return f"${bits % 900 + 100},{(bits >> 12) % 900 + 100},{(bits >> 24) % 900 + 100}.{(bits >> 36) % 90 + 10}"


def email(bits: int) -> str:
    """Return an address at a domain that is reserved for examples."""
    name = handle(bits & 0xFFFFF).replace("_", "_.-+"[bits >> 20 & 3])
    return f"{name}@{MAIL_SITES[(bits >> 22) % len(MAIL_SITES)]}"


def phone(bits: int) -> str:
    """Return an international number that is valid in its country."""
    form = PHONES[(bits & 0xFFFF) % len(PHONES)]
    digits = bits >> 16
    while "#" in form:
        digits, digit = divmod(digits, 10)
        form = form.replace("#", str(digit), 1)
    return form


def card(bits: int) -> str:
    """Return a 16-digit number under a test prefix with a right Luhn digit, in groups of four or solid."""
    first = f"{CARD_PREFIXES[(bits & 0xFF) % len(CARD_PREFIXES)]}{(bits >> 8) % 1_000_000:06d}"
    doubled = sum(int(digit) * 2 - 9 * (digit > "4") for digit in first[::2])
    number = f"{first}{-(doubled + sum(map(int, first[1::2]))) % 10}"
    return number if bits >> 40 & 1 else " ".join(number[at : at + 4] for at in range(0, 16, 4))


def iban(bits: int) -> str:
    """Return an account number with right check digits at a bank that does not exist."""
    country, bank, width = ACCOUNTS[(bits & 0xFF) % len(ACCOUNTS)]
    account = f"{bank}{(bits >> 8) % 10**width:0{width}d}"
    as_digits = "".join(str(int(character, 36)) for character in f"{account}{country}00")
    return f"{country}{98 - int(as_digits) % 97:02d}{account}"


def ip(bits: int) -> str:
    """Return a public address of a network that is set aside for a protocol."""
    if bits & 3 == 0:
        return f"2620:4f:8000::{bits >> 2 & 0xFFFF | 0x1000:x}"
    return f"{NETWORKS[bits >> 2 & 3]}.{(bits >> 4) % 254 + 1}"


def national_id(bits: int) -> str:
    """Return a number in the form of a US, Spanish or Brazilian one, with its country's check digits."""
    kind, bits = (bits & 0xFF) % 3, bits >> 8
    if kind == 0:
        return f"{bits % 600 + 1 + (bits % 600 >= 665):03d}-{(bits >> 12) % 99 + 1:02d}-{(bits >> 24) % 9999 + 1:04d}"
    if kind == 1:
        number = bits % 100_000_000
        return f"{number:08d}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"
    digits = [bits >> shift & 7 for shift in range(0, 27, 3)]
    for _ in range(2):
        weighted = sum(digit * weight for digit, weight in zip(digits[::-1], range(2, 13), strict=False))
        digits.append(-weighted % 11 % 10)
    text = "".join(map(str, digits))
    return f"{text[:3]}.{text[3:6]}.{text[6:9]}-{text[9:]}"


_MAKERS = {"email": email, "phone": phone, "card": card, "iban": iban, "ip": ip, "national_id": national_id}
