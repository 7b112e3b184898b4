'use strict';
(() => {
  const find = document.getElementById('find');
  const went = document.getElementById('went');
  const count = document.getElementById('count');
  const text = (element) => element.textContent.toLowerCase();
  const cards = [...document.querySelectorAll('.card')].map((card) => {
    const head = [...card.querySelectorAll('.about, .covers, .told > p')].map(text).join(' ');
    return { card, words: `${card.id} ${head}`, verdicts: card.dataset.v.split(' ') };
  });
  const rows = [...document.querySelectorAll('tr.req')].map((row) => ({ row, words: text(row) }));
  const groups = [...document.querySelectorAll('.group, .reqs tbody')];

  const filter = () => {
    const wanted = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (words) => wanted.every((word) => words.includes(word));
    let shown = 0;
    for (const { card, words, verdicts } of cards) {
      card.hidden = !(fits(words) && (!went.value || verdicts.includes(went.value)));
      shown += !card.hidden;
    }
    for (const { row, words } of rows) {
      row.hidden = !(fits(words) && (!went.value || row.querySelector(`.v.${went.value}`)));
    }
    for (const group of groups) {
      group.hidden = !group.querySelector('.card:not([hidden]), .req:not([hidden])');
    }
    count.textContent = shown === cards.length ? `${shown}` : `${shown} of ${cards.length}`;
  };
  find.addEventListener('input', filter);
  went.addEventListener('change', filter);
  document.addEventListener('keydown', (event) => {
    if (event.key === '/' && document.activeElement !== find) {
      event.preventDefault();
      find.focus();
    } else if (event.key === 'Escape' && document.activeElement === find) {
      find.value = '';
      filter();
    }
  });
  // A link leads to what the filter hides, too.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.closest('[hidden]')) {
      find.value = '';
      went.value = '';
      filter();
      target.scrollIntoView();
    }
  };
  addEventListener('hashchange', reveal);
  filter();
  reveal();
})();
