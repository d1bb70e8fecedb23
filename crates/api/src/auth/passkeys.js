// Passkeys on the node's forms: asks the node for a challenge and the device for an answer, then sends the form.
"use strict";
(() => {
  const form = document.getElementById("passkey");
  const said = document.getElementById("said");
  const button = form.querySelector("button");
  const { credentials } = navigator;
  const api = window.PublicKeyCredential;
  if (!credentials || !api?.parseRequestOptionsFromJSON || !api.parseCreationOptionsFromJSON) {
    said.textContent = "This browser is too old for passkeys.";
    return;
  }
  button.hidden = false;
  const ask = async (path) => {
    const answer = await fetch(path, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail);
    return body;
  };
  const answered = async () => {
    const { challenge, offer } = form.dataset;
    if (offer) return credentials.create({ publicKey: api.parseCreationOptionsFromJSON(await ask(offer)) });
    const name = document.querySelector("input[autocomplete~=username]");
    form.elements.name.value = name.value;
    if (!name.reportValidity()) return null;
    return credentials.get({ publicKey: api.parseRequestOptionsFromJSON(await ask(challenge)) });
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    said.textContent = "";
    try {
      const credential = await answered();
      if (credential) {
        form.elements.credential.value = JSON.stringify(credential);
        form.submit();
      }
    } catch (error) {
      said.textContent = error instanceof DOMException ? "The device gave no passkey. Try again." : error.message;
    }
    button.disabled = false;
  });
})();
