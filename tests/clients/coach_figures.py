"""The coach's calculators against numpy-financial."""

import os
from math import ceil, isclose

import numpy_financial as npf
import requests

URL = os.environ["OLLAMA_HOST"] + "/coach/plan"


def figures(**numbers):
    answer = requests.post(URL, json={"numbers": numbers}, timeout=60)
    assert answer.status_code == 200, answer.text
    return {figure["id"]: figure["value"] for figure in answer.json()["figures"]}


def monthly(percent):
    return (1 + percent / 100) ** (1 / 12) - 1


for amount, percent, months in [(200_000, 4, 360), (5_000, 9, 24), (12_345.67, 19.9, 60), (1_000, 0, 10)]:
    found = figures(loan={"amount": amount, "apr": str(percent), "months": months})
    rate = percent / 1200
    payment = -npf.pmt(rate, months, amount)
    assert abs(found["loan_payment"] - payment) <= 0.005 + 1e-9, (found, payment)
    interest = -npf.ipmt(rate, range(1, months + 1), months, amount).sum()
    # Each month's interest is rounded to cents, as contracts do.
    assert abs(found["loan_interest"] - interest) <= 0.01 * months, (found, interest)

for start, monthly_sum, percent, years in [(1_000, 200, 7, 30), (0, 50, 3.5, 12), (10_000, 0, 5, 10), (500, 25, 0, 4)]:
    found = figures(savings=start, monthly_contribution=monthly_sum, expected_return=str(percent), years=years)
    value = npf.fv(monthly(percent), years * 12, -monthly_sum, -start)
    assert abs(found["future_value"] - value) <= 0.005 + 1e-6, (found, value)
    assert abs(found["growth"] - (value - start - monthly_sum * years * 12)) <= 0.011, (found, value)

for start, monthly_sum, percent, target in [(1_000, 250, 4, 50_000), (0, 100, 0.5, 12_000), (5_000, 400, 7, 1_000_000)]:
    found = figures(
        savings=start, monthly_contribution=monthly_sum, expected_return=f"{percent} %", target_amount=target
    )
    months = npf.nper(monthly(percent), -monthly_sum, -start, target)
    assert found["months_to_goal"] == ceil(months - 1e-9), (found, months)

for start, percent, target, years in [(1_000, 4, 50_000, 10), (0, 6, 20_000, 5)]:
    found = figures(savings=start, expected_return=percent, target_amount=target, years=years)
    needed = -npf.pmt(monthly(percent), years * 12, -start, target)
    assert 0 <= found["contribution_needed"] - needed <= 0.0101, (found, needed)

for balance, percent, payment in [(2_000, 20, 100), (9_999, 12.5, 333)]:
    debt = {"name": "d", "balance": balance, "apr": percent, "minimum_payment": payment}
    found = figures(debts=[debt])
    months = npf.nper(percent / 1200, -payment, balance)
    assert found["repayment_months"] == ceil(months - 1e-6), (found, months)

found = figures(savings=1_000, expected_return=7, inflation=2.5, annual_fee=1, years=20)
real = (1.07 / 1.025 - 1) * 100
assert isclose(found["real_return"], real, abs_tol=0.0051), (found, real)
after = npf.fv(1.07 * 0.99 - 1, 20, 0, -1_000)
assert abs(found["value_after_fees"] - after) <= 0.0051, (found, after)
today = -npf.pv(0.025, 20, 0, npf.fv(0.07, 20, 0, -1_000))
assert abs(found["buying_power"] - today) <= 0.011, (found, today)
print("figures ok")
