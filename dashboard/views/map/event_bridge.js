// Requests arrive as events "second-look-ask"; answers leave as "second-look-answer".
export default function ({ data, parentElement, setTriggerValue }) {
  const { signal, end } = newCall(parentElement);
  const { channel, answer } = data;
  const ask = ({ detail }) => {
    if (detail.channel === channel) setTriggerValue("question", detail.question);
  };
  window.addEventListener("second-look-ask", ask, { signal });
  (window.secondLookAnswers ??= {})[channel] = answer;
  window.dispatchEvent(new CustomEvent("second-look-answer", { detail: { channel, answer } }));
  return end;
}
