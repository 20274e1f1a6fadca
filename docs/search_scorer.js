// What is found is sorted by Sphinx's own scores; pages that answer a task or a question come first.
var Scorer = {
  score: ([page, title, anchor, about, score]) =>
    score + (/^(questions|glossary|howto\/)/.test(page) ? 10 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
