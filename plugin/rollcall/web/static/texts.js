"use strict";
// Texts, numbers and percentages in the language of the page, which the page brings with it; English stands in the code.
const lang = document.documentElement.lang;
const texts = JSON.parse(document.getElementById("texts").textContent);
const plurals = new Intl.PluralRules(lang);

const number = (value) => value.toLocaleString(lang);
const percent = (value) => value.toLocaleString(lang, { style: "percent" });
const filled = (text, values) => text.replace(/%(?:\((\w+)\)s|%)/g, (_, name) => name ? values[name] : "%");

function gettext(text, values = {}) {
  return filled(texts.messages[text] ?? text, values);
}

function ngettext(one, many, count, values = {}) {
  const forms = texts.plurals[one];
  const text = forms ? forms[plurals.select(count)] ?? forms.other : count === 1 ? one : many;
  return filled(text, { num: number(count), ...values });
}
