"""Figures in Korean: Sino-Korean numbers, and native ones before the words that take them."""

import re
from collections.abc import Callable, Mapping

from audiostory_core.text.spoken.numbers import LONGEST, cardinal, digits

NATIVE = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
NATIVE_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
COUNTERS = (
    *(
        "시간",
        "시",
        "개",
        "명",
        "마리",
        "살",
        "번째",
        "번",
        "잔",
        "병",
        "권",
        "대",
        "사람",
        "달",
        "그루",
    ),
    *("송이", "켤레", "채", "벌", "가지", "곳", "장", "자루", "척", "줄", "방울", "쪽", "걸음"),
)
UNITS = {
    "km/h": "킬로미터 매 시", "km": "킬로미터", "kg": "킬로그램", "cm": "센티미터", "mm": "밀리미터",
    "m²": "제곱미터", "m": "미터", "g": "그램", "ml": "밀리리터", "L": "리터", "l": "리터", "GB": "기가바이트",
    "MB": "메가바이트", "°C": "도", "℃": "도", "°": "도", "%": "퍼센트", "％": "퍼센트",
}  # fmt: skip
MONEY = {"₩": "원", "$": "달러", "€": "유로", "£": "파운드", "¥": "엔"}
SIGNS = {
    "+": "더하기",
    "-": "빼기",
    "−": "빼기",
    "×": "곱하기",
    "*": "곱하기",
    "÷": "나누기",
    "/": "나누기",
    "=": "은",
}
_N = r"(?>\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?"
_OPERATION = r"[+\-−×*÷/=]"
_FIGURES = re.compile(
    rf"(?P<date>(?P<y>\d{{4}})[-/.]\s?(?P<mo>\d{{1,2}})[-/.]\s?(?P<d>\d{{1,2}})\.?(?!\d))"
    rf"|(?P<time>(?P<hour>[01]?\d|2[0-4])[:：](?P<minute>[0-5]\d))"
    rf"|(?P<sum>(?P<symbol>[₩$€£¥])\s?(?P<amount>{_N}))"
    rf"|(?P<telephone>\d{{2,15}}(?:-\d{{2,15}}){{2,9}}|\d{{3,4}}-\d{{4}})"
    rf"|(?P<expression>(?=[\d.,*/−-]{{1,40}}\s?[+=×÷]){_N}(?:\s?{_OPERATION}\s?{_N}){{1,20}}+)"
    rf"|(?P<fraction>(?P<upper>\d{{1,3}})/(?P<lower>\d{{1,3}}))"
    rf"|(?P<range>(?P<low>\d{{1,15}})\s?[-–—~～]\s?(?P<high>\d{{1,15}}))"
    rf"|(?P<native>\d{{1,2}})(?P<gap>\s?)(?P<counter>{'|'.join(COUNTERS)})"
    rf"|(?P<month>6|10)(?=월)"
    rf"|(?P<minus>(?<!\w)[-−])?(?P<number>{_N})(?:\s?(?P<unit>{'|'.join(map(re.escape, UNITS))}))?"
)


class Korean:
    """Puts the figures of Korean text into words."""

    def read(self, text: str) -> str:
        """Return the text without figures."""
        return _FIGURES.sub(_say, text).replace("&", " 앤드 ")


def number(figures: str) -> str:
    """Say a number in figures, with or without decimals; long ones digit by digit."""
    whole, _, fraction = figures.replace(",", "").partition(".")
    is_long = len(whole) > LONGEST or (len(whole) > 1 and int(whole[0]) == 0)
    said = _digits(whole) if is_long else cardinal(int(whole), "ko")
    return said + (f" 점 {_digits(fraction)}" if fraction else "")


def native(value: int) -> str:
    """Return a number from 1 to 99 as it stands before what it counts."""
    if value == 20:
        return "스무"
    return NATIVE_TENS[value // 10] + NATIVE[value % 10]


def _digits(figures: str) -> str:
    return " ".join(digits(figures, "ko"))


def _say(match: re.Match[str]) -> str:
    return _KINDS.get(match.lastgroup or "", _plain)(match)


def _date(match: re.Match[str]) -> str:
    month = {6: "유", 10: "시"}.get(int(match["mo"])) or number(str(int(match["mo"])))
    return f"{number(match['y'])}년 {month}월 {number(str(int(match['d'])))}일"


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"])
    said = f"{native(hour) if 0 < hour <= 12 else number(str(hour))} 시"
    return said + (f" {number(str(minute))} 분" if minute else "")


def _sum(match: re.Match[str]) -> str:
    return f"{number(match['amount'])} {MONEY[match['symbol']]}"


def _telephone(match: re.Match[str]) -> str:
    return ", ".join(_digits(group) for group in match["telephone"].split("-"))


def _expression(match: re.Match[str]) -> str:
    pieces = re.split(rf"\s*({_OPERATION})\s*", match["expression"])
    return " ".join(SIGNS[piece] if at % 2 else number(piece) for at, piece in enumerate(pieces))


def _fraction(match: re.Match[str]) -> str:
    return f"{number(match['lower'])}분의 {number(match['upper'])}"


def _range(match: re.Match[str]) -> str:
    return f"{number(match['low'])}에서 {number(match['high'])}"


def _month(match: re.Match[str]) -> str:
    return {"6": "유", "10": "시"}[match["month"]]


def _plain(match: re.Match[str]) -> str:
    sign = "마이너스 " if match["minus"] else ""
    unit = f" {UNITS[match['unit']]}" if match["unit"] else ""
    return sign + number(match["number"]) + unit


def _with_counter(match: re.Match[str]) -> str:
    value = int(match["native"])
    is_hour = match["counter"] == "시"
    says_native = 0 < value <= (12 if is_hour else 99) and not match["native"].startswith("0")
    said = native(value) if says_native else number(match["native"])
    return f"{said} {match['counter']}"


_KINDS: Mapping[str, Callable[[re.Match[str]], str]] = {
    "date": _date,
    "time": _time,
    "sum": _sum,
    "telephone": _telephone,
    "expression": _expression,
    "fraction": _fraction,
    "range": _range,
    "month": _month,
    "counter": _with_counter,
}
