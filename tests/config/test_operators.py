"""The one list of operators and their spellings."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from qos_agent.config.links import LinkSection
from qos_agent.config.operators import SPELLINGS, operator_code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("telkomsel", "telkomsel"),
        ("Telkomsel", "telkomsel"),
        ("TELKOMSEL ", "telkomsel"),
        ("PT. Telkomsel", "telkomsel"),
        ("Indosat Ooredoo Hutchison", "indosat"),
        ("IM3", "indosat"),
        ("3", "tri"),
        ("PT XL Axiata Tbk", "xl"),
        ("PT XL Axiata, Tbk.", "xl"),
        ("xl-axiata", "xl"),
        ("Smartfren", "smartfren"),
        ("First Media", "firstmedia"),
        ("ICON+", "iconnet"),
        ("Desa_Net", "desa_net"),
        ("unknown", "unknown"),
        ("", ""),
        ("PT", "pt"),
    ],
)
def test_spellings_of_an_operator_have_one_code(name: str, code: str) -> None:
    """Case, punctuation and the legal form do not make another operator."""
    assert operator_code(name) == code


def test_no_spelling_belongs_to_two_operators() -> None:
    """Every spelling gives the code under which it is listed."""
    for code, names in SPELLINGS.items():
        assert {operator_code(name) for name in (code, *names)} == {code}


@pytest.mark.parametrize(
    ("name", "code"), [("Telkomsel", "telkomsel"), ("XL Axiata", "xl")]
)
def test_a_link_has_the_code_of_its_operator(name: str, code: str) -> None:
    """Points of two devices name one operator, however the settings spell it."""
    assert LinkSection(name="main", operator=name).operator == code


def test_an_operator_must_be_a_name() -> None:
    """A name with a space would break the tag, unless it is a known spelling."""
    with pytest.raises(ValidationError, match="must be 1 to 64 letters"):
        LinkSection(name="main", operator="Kabel Kita")


_SPELLINGS = {
    "telkomsel": """PT Telekomunikasi Selular|PT Telekomunikasi Selular (Telkomsel)|
        T-Sel|PT. TELEKOMUNIKASI SELULAR|Telkomsel (Halo)|Telkomsel\u00a0|by.U""",
    "xl": """XL Smart|XLSmart|XL-Smart|PT XLSMART Telecom Sejahtera Tbk|XL Axiata|Axis|
        PT. XLSmart Telecom Sejahtera, Tbk.|XLSMART (XL)""",
    "tri": """3 Tri|Tri 3|3Tri|Kartu Tri|3 (Tri)|Tri (3)|Hutchison 3 Indonesia|
        PT Hutchison 3 Indonesia|Three""",
    "indosat": """Indosat Ooredoo Hutchison|IOH|PT Indosat Tbk|Indosat (IM3)|
        IM3 (Indosat)|PT Indosat Ooredoo Hutchison Tbk (IOH)|indosat_ooredoo""",
    "smartfren": "smartfren|PT Smartfren Telecom Tbk|Smart Fren",
    "telkom": "PT Telkom Indonesia (Persero) Tbk|Telkom Indonesia",
    "orbit_star": "Orbit_Star|orbit-star|ORBIT__STAR|orbit-_star",
}


@pytest.mark.parametrize(("code", "names"), _SPELLINGS.items())
def test_legal_names_and_other_spellings(code: str, names: str) -> None:
    """Letters of contracts have legal names, and an unknown operator has one code."""
    assert {operator_code(name) for name in names.split("|")} == {code}
