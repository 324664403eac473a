// Has the browser solve the puzzle that the form carries, from when the page opens, so that it is
// usually done when the address is typed. Who sends the form earlier is told that it goes out by
// itself. Whatever fails here, the form goes out without a solution, as it does without JavaScript.
(function () {
  "use strict";
  var form = document.getElementById("solve");
  if (!form) { return; }
  var source = document.currentScript.src;
  var field = form.elements.altcha;
  var button = form.querySelector("button");
  var wait = document.getElementById("wait");
  var most = 8 * 60 * 1000; // a challenge is good for ten minutes, and the form has to arrive
  var sending, born, solved;

  // work searches with some of the processor's cores and leaves the person one.
  function work(challenge) {
    var count = Math.min(4, Math.max(1, (navigator.hardwareConcurrency || 2) - 1));
    var workers = [];
    return new Promise(function (resolve, reject) {
      for (var i = 0; i < count; i++) {
        var worker = new Worker(source);
        workers.push(worker);
        worker.onerror = reject;
        worker.onmessage = function (message) {
          var found = message.data;
          if (!found || found.error) { reject(found); return; }
          resolve(btoa(JSON.stringify({
            challenge: { parameters: challenge.parameters, signature: challenge.signature },
            solution: { counter: found.counter, derivedKey: found.derivedKey, time: found.time },
          })));
        };
        worker.postMessage({ type: "work", challenge: challenge, counterStart: i, counterStep: count, timeout: most });
      }
    }).finally(function () {
      workers.forEach(function (worker) { worker.terminate(); });
    });
  }

  // begin starts on a challenge, which comes now or later.
  function begin(challenge) {
    born = Date.now();
    solved = Promise.resolve(challenge).then(work);
    solved.catch(function () { }); // until the form is sent nobody minds
  }

  function renew() {
    begin(fetch(form.dataset.renew, { cache: "no-store" }).then(function (answer) { return answer.json(); }));
  }

  function reset() {
    sending = false;
    field.value = "";
    wait.textContent = "";
    button.removeAttribute("aria-disabled");
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    if (sending) { return; } // a solution is good for sending once
    sending = true;
    if (Date.now() - born > most) { renew(); }
    button.setAttribute("aria-disabled", "true");
    // What is done already is done before this is said.
    var later = setTimeout(function () { wait.textContent = form.dataset.wait; }, 100);
    solved.then(
      function (solution) { field.value = solution; },
      function () { field.value = ""; }
    ).then(function () {
      clearTimeout(later);
      form.submit();
    });
  });

  // Who comes back to the page as they left it finds its solution used.
  window.addEventListener("pageshow", function (event) {
    if (event.persisted) { reset(); renew(); }
  });

  reset();
  begin(JSON.parse(form.dataset.challenge));
})();
