"""Figures in Chinese: numbers, years, times, dates, money and units as they are said."""

import re
from collections.abc import Callable, Mapping

from audiostory_core.text.spoken.roman import value_of

DIGITS = "零一二三四五六七八九"
PLACES = ("", "十", "百", "千")
MYRIADS = ("", "万", "亿", "万亿")
LONGEST = 16  # digits of one number
_TWO = "个只本张条位次天年周里公里公斤斤元块杯瓶件家辆头匹把座层遍倍种名口间颗棵朵双对点岁支枝艘架台部封页句首群封"
UNITS = {
    "km/h": "公里每小时", "km²": "平方公里", "m²": "平方米", "m³": "立方米", "km": "公里", "kg": "公斤",
    "cm": "厘米", "mm": "毫米", "mg": "毫克", "ml": "毫升", "mL": "毫升", "GB": "吉字节", "MB": "兆字节",
    "kHz": "千赫", "MHz": "兆赫", "Hz": "赫兹", "°C": "摄氏度", "℃": "摄氏度", "°F": "华氏度", "°": "度",
    "kW": "千瓦", "dB": "分贝", "m": "米", "g": "克", "L": "升", "l": "升", "s": "秒", "h": "小时",
    "min": "分钟", "t": "吨",
}  # fmt: skip
MONEY = {"¥": "元", "￥": "元", "$": "美元", "＄": "美元", "€": "欧元", "£": "英镑"}
SIGNS = {
    "+": "加", "-": "减", "−": "减", "×": "乘以", "*": "乘以", "÷": "除以", "/": "除以", "=": "等于", "^": "的",
}  # fmt: skip
_N = r"(?>\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:[.．]\d+)?"
_UNIT = "|".join(map(re.escape, sorted(UNITS, key=len, reverse=True)))
_OPERATION = r"[+\-−×*÷/=^]"
_FIGURES = re.compile(
    rf"(?P<roman>(?<=第)[IVXLC]+(?=[章幕场集回卷部节]))"
    rf"|(?P<iso>(?P<y>\d{{4}})[-/.](?P<mo>\d{{1,2}})[-/.](?P<d>\d{{1,2}})(?!\d))"
    rf"|(?P<year>\d{{4}}|(?<!\d)\d{{2}})(?=年(?![前后内间级以]))"
    rf"|(?P<time>(?P<hour>[01]?\d|2[0-4])[:：](?P<minute>[0-5]\d)(?:[:：](?P<second>[0-5]\d))?)"
    rf"|(?P<sum>(?P<symbol>[¥￥$＄€£])\s?(?P<amount>{_N})(?P<times>[万亿])?)"
    rf"|(?P<telephone>\d{{2,15}}(?:-\d{{2,15}}){{2,9}}|\d{{3,4}}-\d{{7,8}}|(?<!\d)1\d{{10}}(?!\d))"
    rf"|(?P<expression>(?=[\d.,*/−-]{{1,40}}\s?[+=×÷]){_N}(?:\s?{_OPERATION}\s?{_N}){{1,20}}+)"
    rf"|(?P<fraction>(?P<upper>\d{{1,3}})/(?P<lower>\d{{1,3}}))"
    rf"|(?P<range>(?P<low>\d{{1,15}})\s?[-–—~～]\s?(?P<high>\d{{1,15}}))"
    rf"|(?P<power>(?P<base>\d{{1,15}})\^(?P<exponent>\d{{1,3}}))"
    rf"|(?P<minus>(?<!\w)[-−])?(?P<number>{_N})(?:(?P<percent>\s?[%％])|\s?(?P<unit>{_UNIT})(?![A-Za-z]))?"
)


class Chinese:
    """Puts the figures of Chinese text into characters."""

    def read(self, text: str) -> str:
        """Return the text without figures."""
        return _FIGURES.sub(_say, text).replace("&", "和")


def number(figures: str) -> str:
    """Say a number in figures, with or without decimals; long ones digit by digit."""
    whole, _, fraction = figures.replace(",", "").replace("．", ".").partition(".")
    is_long = len(whole) > LONGEST or (len(whole) > 1 and int(whole[0]) == 0)
    said = digits(whole) if is_long else cardinal(int(whole))
    return said + (f"点{digits(fraction)}" if fraction else "")


def digits(figures: str) -> str:
    """Say every figure by itself."""
    return "".join(DIGITS[int(figure)] for figure in figures)


def cardinal(value: int) -> str:
    """Return a whole number below 10**16 in characters."""
    if value == 0:
        return DIGITS[0]
    groups = []
    while value:
        value, group = divmod(value, 10_000)
        groups.append(group)
    said = ""
    for place in range(len(groups) - 1, -1, -1):
        group = groups[place]
        if group == 0:
            said += "" if said.endswith("零") or not any(groups[:place]) else "零"
            continue
        if said and group < 1000 and not said.endswith("零"):
            said += "零"
        said += _below_a_myriad(group) + MYRIADS[place]
    return said.removeprefix("一") if said.startswith("一十") else said


def _below_a_myriad(group: int) -> str:
    said = ""
    for place in (3, 2, 1, 0):
        digit = group // 10**place % 10
        if digit:
            said += DIGITS[digit] + PLACES[place]
        elif said and not said.endswith("零"):
            said += "零"
    return said.rstrip("零")


def _say(match: re.Match[str]) -> str:
    return _KINDS.get(match.lastgroup or "", _counted)(match)


def _roman(match: re.Match[str]) -> str:
    return cardinal(value_of(match["roman"]))


def _iso(match: re.Match[str]) -> str:
    month, day = cardinal(int(match["mo"])), cardinal(int(match["d"]))
    return f"{digits(match['y'])}年{month}月{day}日"


def _year(match: re.Match[str]) -> str:
    return digits(match["year"])


def _sum(match: re.Match[str]) -> str:
    return number(match["amount"]) + (match["times"] or "") + MONEY[match["symbol"]]


def _telephone(match: re.Match[str]) -> str:
    return "，".join(digits(group) for group in match["telephone"].split("-"))


def _expression(match: re.Match[str]) -> str:
    pieces = re.split(rf"\s*({_OPERATION})\s*", match["expression"])
    return "".join(SIGNS[piece] if at % 2 else number(piece) for at, piece in enumerate(pieces))


def _fraction(match: re.Match[str]) -> str:
    return f"{number(match['lower'])}分之{number(match['upper'])}"


def _range(match: re.Match[str]) -> str:
    return f"{number(match['low'])}到{number(match['high'])}"


def _power(match: re.Match[str]) -> str:
    return f"{number(match['base'])}的{number(match['exponent'])}次方"


def _counted(match: re.Match[str]) -> str:
    said = number(match["number"])
    following = match.string[match.end() : match.end() + 1]
    is_pair = said == "二" and not match["percent"]
    if is_pair and (match["unit"] or (following and following in _TWO and not _is_ordinal(match))):
        said = "两"
    if match["percent"]:
        said = f"百分之{said}"
    is_cold = match["minus"] and (match["unit"] or "") in ("°C", "℃", "°F", "°")
    sign = ("零下" if is_cold else "负") if match["minus"] else ""
    return sign + said + UNITS.get(match["unit"] or "", "")


def _is_ordinal(match: re.Match[str]) -> bool:
    return match.string[max(0, match.start() - 1) : match.start()] in ("第", "初")


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"])
    said = ("两" if hour == 2 else cardinal(hour)) + "点"
    if minute:
        said += ("零" if minute < 10 else "") + cardinal(minute) + "分"
    if match["second"] and int(match["second"]):
        said += cardinal(int(match["second"])) + "秒"
    return said


_KINDS: Mapping[str, Callable[[re.Match[str]], str]] = {
    "roman": _roman,
    "iso": _iso,
    "year": _year,
    "time": _time,
    "sum": _sum,
    "telephone": _telephone,
    "expression": _expression,
    "fraction": _fraction,
    "range": _range,
    "power": _power,
}
