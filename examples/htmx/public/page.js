// The parts that htmx leaves to the page: the session's id, the state of the connection, and the
// outcome of a form. Everything else on the page is HTML that the server sends.

const leaveUrl = '/live/tether.close'
const verdicts = { new: '', resumed: ', resumed', gap: ', some updates were lost', expired: ', a new session' }

const state = document.getElementById('state')
const plainForm = document.querySelector('#mood-form fieldset')
const sessionFields = document.getElementsByName('tether-session')

const hasSession = () => sessionFields[0].value !== ''

// Forms that are sent before the page knows its session wait for it. Each is sent with its fields at that later time.
const early = new Map()

document.addEventListener('htmx:confirm', (event) => {
  if (hasSession()) return
  event.preventDefault()
  const { elt, issueRequest } = event.detail
  early.set(elt, issueRequest)
  elt.querySelector('.fault').textContent = 'Waits for the line.'
})

function enter (name, words) {
  document.documentElement.dataset.state = name
  state.textContent = words
  // Without a server or a session, a plain form would lead away from the page.
  plainForm.disabled = name === 'lost' || !hasSession()
}

enter('connecting', 'Connecting')

// The control frames, which htmx dispatches because of the hx-trigger on #state.
document.addEventListener('sse:tether', ({ detail }) => {
  const frame = JSON.parse(detail.data)
  if (frame.type === 'hello') {
    // After a restart of the server the session is not the one in the page.
    for (const field of sessionFields) field.value = frame.session
    enter('live', `Live${verdicts[frame.verdict] ?? ''}`)
    for (const issueRequest of early.values()) issueRequest(true)
    early.clear()
  } else if (frame.type === 'goodbye') {
    enter('lost', 'The server is going away')
  }
})

document.addEventListener('htmx:sseError', () => {
  if (document.documentElement.dataset.state !== 'lost') enter('lost', 'The line is lost, trying again')
})

document.addEventListener('htmx:afterRequest', ({ detail: { elt, successful, xhr, requestConfig } }) => {
  elt.querySelector('.fault').textContent = successful ? '' : faultOf(xhr)
  const text = elt.elements.namedItem('text')
  // Text that was typed while the note was on its way stays.
  if (successful && text !== null && text.value === requestConfig.parameters.text) text.value = ''
})

function faultOf ({ status, responseText }) {
  if (status === 0) return 'No answer came. It may have arrived all the same.'
  if (status === 404 || status === 410) return 'The server does not know this session any more. Try again when the line is back.'
  try {
    const { message, errors } = JSON.parse(responseText)
    return errors?.map(({ path, message }) => `${path.slice(1)} ${message}`).join('; ') ?? message
  } catch {
    return `The server answered ${status}.`
  }
}

// The server need not keep the session of a tab that is closed.
addEventListener('pagehide', () => {
  const [{ value }] = sessionFields
  if (hasSession()) navigator.sendBeacon(leaveUrl, new URLSearchParams({ 'tether-session': value }))
})

// A page from the back/forward cache has left its session.
addEventListener('pageshow', ({ persisted }) => {
  if (persisted) location.reload()
})
