"""XML of others, read without trust: no entities, no networks, limits against bombs."""

from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from audiostory_core.errors import BadInput


def parse_xml(content: str | bytes, name: str) -> Element:
    """Return the root of an XML document.

    Raises:
        BadInput: if it is damaged, or defines entities.
    """
    try:
        root: Element = fromstring(content, forbid_dtd=False, forbid_entities=True)
    except DefusedXmlException as error:
        raise BadInput(
            "script", name, "defines entities that may expand without end",
            "Save it anew from the program that wrote it.",
        ) from error  # fmt: skip
    except ParseError as error:
        raise BadInput(
            "script", name, f"is damaged XML ({error})",
            "Save it anew from the program that wrote it.",
        ) from error  # fmt: skip
    except ValueError as error:  # an encoding that the head names and nobody knows
        raise BadInput(
            "script", name, f"is not readable XML ({error})", "Save it as UTF-8."
        ) from error
    return root
