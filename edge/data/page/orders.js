// Commands that a person gives on the page.

/** Give the device a command; return what it answers, or `{ error }` with a sentence that says why there is nothing. */
export async function order(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
    return await answer.json();
  } catch {
    return { error: "The device did not answer; look whether it was done." };
  }
}
