"""Figures in Japanese: numbers with their counters, dates, times, money and units, in katakana.

A counter changes the number before it, and is changed by it: 一本 is イッポン, 三本 is サンボン.
"""

import re
from collections.abc import Callable, Mapping

from audiostory_core.text.spoken.roman import value_of

DIGITS = ("", "イチ", "ニ", "サン", "ヨン", "ゴ", "ロク", "ナナ", "ハチ", "キュウ")
HUNDREDS = {3: "サンビャク", 6: "ロッピャク", 8: "ハッピャク"}
THOUSANDS = {3: "サンゼン", 8: "ハッセン"}
MYRIADS = ("", "マン", "オク", "チョウ", "ケイ")
LONGEST_NUMBER = 20  # digits; longer ones are read digit by digit
KANJI_DIGITS = {kanji: value for value, kanji in enumerate("〇一二三四五六七八九")} | {"零": 0}
KANJI_PLACES = {"十": 10, "百": 100, "千": 1000}
KANJI_MYRIADS = {"万": 10**4, "億": 10**8, "兆": 10**12}

# Counters by what 1, 6, 8, 10 and 3 do to their first sound.
_P = {  # ッ with a hard sound; a soft one after 3 and 何
    "本": "ホン", "匹": "ヒキ", "杯": "ハイ", "百": "ヒャク", "発": "ハツ", "票": "ヒョウ", "遍": "ヘン",
}  # fmt: skip
_P_HARD = {"分間": "フンカン", "分": "フン", "泊": "ハク"}  # a hard one after 3, too
_K = {"個": "コ", "箇所": "カショ", "か所": "カショ", "ヶ所": "カショ", "か月": "カゲツ", "ヶ月": "カゲツ",
      "カ月": "カゲツ", "ヵ月": "カゲツ", "箇月": "カゲツ", "回目": "カイメ", "回": "カイ", "件": "ケン",
      "曲": "キョク", "巻": "カン", "キロメートル": "キロメートル", "キログラム": "キログラム", "キロ": "キロ"}  # fmt: skip
_K_SOFT = {"階": "カイ", "軒": "ケン"}  # a soft one after 3 and 何
_S = {"冊": "サツ", "歳": "サイ", "才": "サイ", "週間": "シュウカン", "章": "ショウ", "世紀": "セイキ", "隻": "セキ",
      "着": "チャク", "頭": "トウ", "点": "テン", "丁目": "チョウメ", "通": "ツウ", "センチ": "センチ", "周": "シュウ",
      "種類": "シュルイ", "色": "ショク", "トン": "トン", "等": "トウ", "冠": "カン"}  # fmt: skip
_S_SOFT = {"足": "ソク"}
_PLAIN = {"年間": "ネンカン", "年生": "ネンセイ", "年": "ネン", "枚": "マイ", "台": "ダイ", "番目": "バンメ", "番": "バン",
          "度": "ド", "名": "メイ", "円": "エン", "時間": "ジカン", "時": "ジ", "月": "ガツ", "秒": "ビョウ", "倍": "バイ",
          "人": "ニン", "日間": "ニチカン", "日": "ニチ", "つ": "ツ", "メートル": "メートル", "グラム": "グラム",
          "リットル": "リットル", "ドル": "ドル", "ユーロ": "ユーロ", "号室": "ゴウシツ", "号": "ゴウ", "話": "ワ",
          "部": "ブ", "幕": "マク", "場": "バ", "羽": "ワ", "輪": "リン", "問": "モン", "割": "ワリ", "両": "リョウ",
          "畳": "ジョウ", "面": "メン", "段": "ダン", "文字": "モジ", "行": "ギョウ", "ページ": "ページ", "歩": "ホ",
          "％": "パーセント", "%": "パーセント", "パーセント": "パーセント"}  # fmt: skip
_HARD = str.maketrans("ハヒフヘホ", "パピプペポ")
_SOFT = str.maketrans("ハヒフヘホカキクケコサシスセソ", "バビブベボガギグゲゴザジズゼゾ")
_IRREGULAR = {
    ("人", 1): "ヒトリ", ("人", 2): "フタリ", ("人", 4): "ヨニン", ("年", 4): "ヨネン", ("年間", 4): "ヨネンカン",
    ("年生", 4): "ヨネンセイ", ("円", 4): "ヨエン", ("時", 4): "ヨジ", ("時", 7): "シチジ", ("時", 9): "クジ",
    ("時間", 4): "ヨジカン", ("時間", 7): "シチジカン", ("時間", 9): "クジカン", ("月", 4): "シガツ",
    ("月", 7): "シチガツ", ("月", 9): "クガツ", ("歩", 1): "イッポ", ("歩", 3): "サンポ", ("歩", 10): "ジュッポ",
    ("ページ", 1): "イチページ", ("羽", 3): "サンバ", ("部", 1): "イチブ",
}  # fmt: skip
_DAYS = {
    1: "イチニチ", 2: "フツカ", 3: "ミッカ", 4: "ヨッカ", 5: "イツカ", 6: "ムイカ", 7: "ナノカ", 8: "ヨウカ", 9: "ココノカ",
    10: "トオカ", 14: "ジュウヨッカ", 20: "ハツカ", 24: "ニジュウヨッカ", 19: "ジュウクニチ", 29: "ニジュウクニチ",
}  # fmt: skip
_THINGS = (
    "",
    "ヒトツ",
    "フタツ",
    "ミッツ",
    "ヨッツ",
    "イツツ",
    "ムッツ",
    "ナナツ",
    "ヤッツ",
    "ココノツ",
)
_TWENTY = {"歳": "ハタチ", "才": "ハタチ"}
_BEFORE_ENDINGS = {"イチ": "イッ", "ロク": "ロッ", "ハチ": "ハッ", "ジュウ": "ジュッ",
                   "ヒャク": "ヒャッ", "ビャク": "ビャッ", "ピャク": "ピャッ"}  # fmt: skip
_HUNDRED_ENDINGS = ("ヒャク", "ビャク", "ピャク")
_GROUPS = (_P, _P_HARD, _K, _K_SOFT, _S, _S_SOFT, _PLAIN)
_COUNTERS = _P | _P_HARD | _K | _K_SOFT | _S | _S_SOFT | _PLAIN
UNITS = {
    "km/h": "キロメートル毎時", "km²": "平方キロメートル", "㎡": "平方メートル", "m²": "平方メートル", "km": "キロメートル",
    "kg": "キログラム", "cm": "センチメートル", "mm": "ミリメートル", "mg": "ミリグラム", "ml": "ミリリットル",
    "mL": "ミリリットル", "GB": "ギガバイト", "MB": "メガバイト", "kHz": "キロヘルツ", "Hz": "ヘルツ", "°C": "ド",
    "℃": "ド", "°F": "ド", "°": "ド", "dB": "デシベル", "m": "メートル", "g": "グラム", "L": "リットル",
    "l": "リットル", "t": "トン", "㎞": "キロメートル", "㎏": "キログラム", "㎝": "センチメートル",
}  # fmt: skip
MONEY = {"¥": "円", "￥": "円", "$": "ドル", "＄": "ドル", "€": "ユーロ", "£": "ポンド"}
SIGNS = {"+": "タス", "＋": "タス", "-": "ヒク", "−": "ヒク", "－": "ヒク", "×": "カケル", "*": "カケル", "÷": "ワル",
         "/": "ワル", "=": "ワ", "＝": "ワ"}  # fmt: skip
# Words that begin as a number with a counter, and are read as words.
_WORDS = [
    "一本気",
    "一日千秋",
    "一人前",
    "三日月",
    "二人三脚",
    "一通り",
    "一足先",
    "一回り",
    "一時的",
    "一度に",
    "万歳",
    "千本桜",
    "十分な",
    "十分に",
    "十分だ",
    "十分で",
    "一部始終",
    "一部",
    "一面",
    "一色",
    "一行",
    "一段と",
    "一段落",
    "一場",
    "一番星",
    "百度",
    "十人十色",
    "三角",
    "一点張り",
    "一周忌",
    "一歩",
    "八百万",
    "七色",
    "一号",
    "四面",
    "二等",
    "一等",
    "一着",
    "一台詞",
    "八百屋",
    "一種類",
    "二度と",
    "一発",
    "一話",
    "三部作",
    "一両日",
]
_KANJI = "〇零一二三四五六七八九十百千万億兆"
_N = r"(?>\d{1,3}(?:[,，]\d{3})+(?!\d)|\d+)(?:[.．]\d+)?"
_NAMES = "|".join(map(re.escape, sorted(_COUNTERS, key=len, reverse=True)))
_UNITS = "|".join(map(re.escape, sorted(UNITS, key=len, reverse=True)))
_OPERATION = r"[+＋\-−－×*÷/=＝]"
_FIGURES = re.compile(
    rf"(?P<word>{'|'.join(sorted(_WORDS, key=len, reverse=True))})"
    r"|(?P<roman>(?<=第)[IVXLC]+(?=[章幕場集回巻部節話]))"
    r"|(?P<date>(?P<y>\d{4})[/.-](?P<mo>\d{1,2})[/.-](?P<d>\d{1,2})(?!\d))"
    r"|(?P<time>(?P<hour>[01]?\d|2[0-4])[:：](?P<minute>[0-5]\d)(?!\d))"
    rf"|(?P<sum>(?P<symbol>[¥￥$＄€£])\s?(?P<amount>{_N})(?P<times>[万億])?)"
    r"|(?P<telephone>\d{2,15}(?:-\d{2,15}){2,9})"
    rf"|(?P<expression>(?=[\d.,*/−-]{{1,40}}\s?[+＋=＝×÷]){_N}(?:\s?{_OPERATION}\s?{_N}){{1,20}}+)"
    r"|(?P<fraction>(?P<upper>\d{1,3})/(?P<lower>\d{1,3}))"
    r"|(?P<range>(?P<low>\d{1,15})\s?[-–—~～〜]\s?(?=\d))"
    r"|(?P<whole>[1１一](?P<whole_of>日|年)中)"
    rf"|(?P<day>(?<=月)(?P<of_month>\d{{1,2}}|[{_KANJI}]{{1,4}})日)"
    rf"|(?P<minus>(?<!\w)[-−－])?(?P<number>{_N})(?P<tens>[万億兆](?:{_N}[万億兆])?(?:{_N})?)?"
    rf"(?:(?P<counter>{_NAMES})|\s?(?P<unit>{_UNITS})(?![A-Za-z]))?"
    rf"|(?P<which>何)(?P<which_counter>{_NAMES})(?!か月)"
    rf"|(?<![{_KANJI}])(?P<kanji>[{_KANJI}]+)(?P<kanji_counter>{_NAMES})"
)


class Japanese:
    """Puts the figures of Japanese text, and kanji numbers that count, into kana."""

    def read(self, text: str) -> str:
        """Return the text without figures."""
        return _FIGURES.sub(_say, text)


def number_in_kana(number: int) -> str:
    """Return a number from 0 to 10**20 - 1 as it is spoken."""
    if number == 0:
        return "ゼロ"
    spoken = ""
    for power, myriad in enumerate(MYRIADS):
        group = number // 10_000**power % 10_000
        if group:
            spoken = _below_a_myriad(group) + myriad + spoken
    return spoken


def figures_in_kana(figures: str) -> str:
    """Say a number in figures, with or without decimals; long ones digit by digit."""
    plain = figures.replace(",", "").replace("，", "").replace("．", ".")
    whole, _, fraction = plain.partition(".")
    decimals = _digits(fraction)
    is_long = len(whole) > LONGEST_NUMBER or (len(whole) > 1 and int(whole[0]) == 0)
    said = _digits(whole) if is_long else number_in_kana(int(whole))
    return said + ("テン" + decimals if decimals else "")


def counted(value: int, counter: str) -> str:
    """Return a number with what it counts, both as they change each other."""
    if counter == "つ":
        return _THINGS[value] if 0 < value < len(_THINGS) else number_in_kana(value)
    if counter in ("日", "日間") and value in _DAYS:
        return _DAYS[value] + ("カン" if counter == "日間" else "")
    if value == 20 and counter in _TWENTY:
        return _TWENTY[counter]
    said, last = number_in_kana(value), value % 10
    irregular = _IRREGULAR.get((counter, last))
    if irregular and not (counter == "人" and last < 3 and value > 2):
        return said.removesuffix(DIGITS[last]) + irregular
    return _joined(said, last, counter)


def _joined(said: str, last: int, counter: str) -> str:
    reading = _COUNTERS[counter]
    group = next(group for group in _GROUPS if counter in group)
    if group is _PLAIN:
        return said + reading
    if last == 3 and group in (_P, _K_SOFT, _S_SOFT):
        return said + reading[0].translate(_SOFT) + reading[1:]
    if (last == 3 and group is _P_HARD) or (last == 4 and counter in ("分", "分間")):
        return said + reading[0].translate(_HARD) + reading[1:]
    shortened = next((each for each in _BEFORE_ENDINGS if said.endswith(each)), "")
    if not shortened or (group in (_S, _S_SOFT) and shortened in ("ロク", *_HUNDRED_ENDINGS)):
        return said + reading
    said = said.removesuffix(shortened) + _BEFORE_ENDINGS[shortened]
    hard = reading[0].translate(_HARD) if group in (_P, _P_HARD) else reading[0]
    return said + hard + reading[1:]


def _say(match: re.Match[str]) -> str:
    return _KINDS.get(match.lastgroup or "", _counted)(match)


def _word(match: re.Match[str]) -> str:
    return match["word"]


def _roman(match: re.Match[str]) -> str:
    return number_in_kana(value_of(match["roman"]))


def _date(match: re.Match[str]) -> str:
    month = counted(int(match["mo"]), "月")
    return f"{number_in_kana(int(match['y']))}ネン{month}{_day(int(match['d']))}"


def _time(match: re.Match[str]) -> str:
    minute = int(match["minute"])
    return counted(int(match["hour"]), "時") + (counted(minute, "分") if minute else "")


def _telephone(match: re.Match[str]) -> str:
    return "、".join(_digits(group) for group in match["telephone"].split("-"))


def _expression(match: re.Match[str]) -> str:
    pieces = re.split(rf"\s*({_OPERATION})\s*", match["expression"])
    return " ".join(
        SIGNS[piece] if at % 2 else figures_in_kana(piece) for at, piece in enumerate(pieces)
    )


def _fraction(match: re.Match[str]) -> str:
    upper, lower = (number_in_kana(int(match[name])) for name in ("upper", "lower"))
    return f"{lower}ブンノ{upper}"


def _range(match: re.Match[str]) -> str:
    return f"{number_in_kana(int(match['low']))}カラ"


def _whole(match: re.Match[str]) -> str:
    return "イチニチジュウ" if match["whole_of"] == "日" else "イチネンジュウ"


def _of_month(match: re.Match[str]) -> str:
    return _day(_value(match["of_month"]))


def _counted(match: re.Match[str]) -> str:
    if match["which"]:
        return _which(match["which_counter"])
    if match["kanji"]:
        return _kanji(match)
    sign = "マイナス" if match["minus"] else ""
    unit = UNITS.get(match["unit"] or "", "")
    if match["tens"] or not match["number"].isdecimal() or not match["counter"]:
        counter = _COUNTERS.get(match["counter"] or "", "")
        return (
            sign + figures_in_kana(match["number"]) + _myriads(match["tens"] or "") + counter + unit
        )
    value = int(match["number"])
    if value >= 10**LONGEST_NUMBER or (value and match["number"].startswith("0")):
        return sign + figures_in_kana(match["number"]) + _COUNTERS[match["counter"]]
    return sign + counted(value, match["counter"])


def _kanji(match: re.Match[str]) -> str:
    before = match.string[max(0, match.start() - 1) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    counter = match["kanji_counter"]
    is_alone = match["kanji"] in ("万", "千", "億", "兆") or (
        before and "一" <= before <= "鿿" and before not in "月年時第約全計各毎日"
    )
    is_word = (
        match["kanji"] == "十"
        and counter == "分"
        and before != "時"
        and not (after and after in "後前間")
    )
    if is_alone or is_word or (match["kanji"] == "十" and counter == "文字"):
        return match[0]
    value = _value(match["kanji"])
    return counted(value, counter) if value < 10**16 else match[0]


def _which(counter: str) -> str:
    reading = _COUNTERS[counter]
    if counter in _P or counter in _K_SOFT or counter in _S_SOFT:
        return "ナン" + reading[0].translate(_SOFT) + reading[1:]
    if counter in _P_HARD:
        return "ナン" + reading[0].translate(_HARD) + reading[1:]
    return "イクツ" if counter == "つ" else "ナン" + reading


def _day(day: int) -> str:
    return "ツイタチ" if day == 1 else counted(day, "日")


def _money(match: re.Match[str]) -> str:
    unit = MONEY[match["symbol"]]
    figures = match["amount"]
    if unit == "円" and figures.isdecimal() and not match["times"]:
        return counted(int(figures), "円")
    return (
        figures_in_kana(figures)
        + _myriads(match["times"] or "")
        + (unit if unit != "円" else "エン")
    )


def _value(figures: str) -> int:
    """Return the value of figures, or of a number in kanji."""
    if figures.isdecimal():
        return int(figures)
    if all(kanji in KANJI_DIGITS for kanji in figures):
        return int("".join(str(KANJI_DIGITS[kanji]) for kanji in figures))
    whole = group = digit = 0
    for kanji in figures:
        if kanji in KANJI_DIGITS:
            digit = KANJI_DIGITS[kanji]
        elif kanji in KANJI_PLACES:
            group += (digit or 1) * KANJI_PLACES[kanji]
            digit = 0
        else:
            whole += (group + digit or 1) * KANJI_MYRIADS[kanji]
            group = digit = 0
    return whole + group + digit


def _myriads(tens: str) -> str:
    """Return what follows a number before a myriad: 万5000 is マンゴセン."""
    said = re.sub(r"[\d,.]+", lambda figures: figures_in_kana(figures[0]), tens)
    return said.replace("万", "マン").replace("億", "オク").replace("兆", "チョウ")


def _digits(figures: str) -> str:
    return "".join(number_in_kana(int(digit)) for digit in figures)


def _below_a_myriad(number: int) -> str:
    thousands, hundreds, tens, ones = (number // 10**power % 10 for power in (3, 2, 1, 0))
    spoken = ""
    if thousands:
        spoken += THOUSANDS.get(thousands, ("" if thousands == 1 else DIGITS[thousands]) + "セン")
    if hundreds:
        spoken += HUNDREDS.get(hundreds, ("" if hundreds == 1 else DIGITS[hundreds]) + "ヒャク")
    if tens:
        spoken += ("" if tens == 1 else DIGITS[tens]) + "ジュウ"
    return spoken + DIGITS[ones]


_KINDS: Mapping[str, Callable[[re.Match[str]], str]] = {
    "word": _word,
    "roman": _roman,
    "date": _date,
    "time": _time,
    "sum": _money,
    "telephone": _telephone,
    "expression": _expression,
    "fraction": _fraction,
    "range": _range,
    "whole": _whole,
    "day": _of_month,
}
