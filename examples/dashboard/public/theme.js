// A classic script in the head, so that the page never flashes in the wrong theme.
(function () {
  const key = 'tether-theme'
  const prefersDark = matchMedia('(prefers-color-scheme: dark)')
  const root = document.documentElement

  function stored () {
    try {
      const theme = localStorage.getItem(key)
      return theme === 'dark' || theme === 'light' ? theme : null
    } catch {
      return null
    }
  }

  let chosen = stored()

  function apply () {
    const theme = chosen ?? (prefersDark.matches ? 'dark' : 'light')
    root.dataset.theme = theme
    const label = document.getElementById('theme-label')
    if (label !== null) label.textContent = theme === 'dark' ? 'Light theme' : 'Dark theme'
    root.dispatchEvent(new Event('themechange'))
  }

  apply()
  prefersDark.addEventListener('change', apply)
  matchMedia('(forced-colors: active)').addEventListener('change', apply)
  document.addEventListener('DOMContentLoaded', () => {
    apply()
    document.getElementById('theme').addEventListener('click', () => {
      chosen = root.dataset.theme === 'dark' ? 'light' : 'dark'
      try {
        localStorage.setItem(key, chosen)
      } catch {
        // Storage may be forbidden; the choice then lasts as long as the page.
      }
      apply()
    })
  })
})()
